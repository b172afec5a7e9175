package message

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sendoff/submit/status"
)

// how is what becomes of the content of a part.
type how uint8

const (
	asIs how = iota
	asMultipart
	asMessage
	inQP
	inBase64
	cleaned
)

// A plan says what becomes of a part: its content, and the fields of its
// header that describe it.
type plan struct {
	how     how
	media   mediaType
	encoded bool  // the content is already in the encoding, only its lines are not
	start   int64 // of the content
	end     int64 // of the content, before the delimiter
	open    bool  // the message ends there, not at a delimiter

	message  bool   // the header is a message's, which has MIME-Version
	encoding string // new Content-Transfer-Encoding, "" to keep what there is
	charset  string // to be added to Content-Type
	retype   bool   // the Content-Type is of no use
}

// plan looks at the part whose header has been read and decides.
func (r *recoder) plan(fields []field, byDefault string) plan {
	p := plan{media: contentType(fields, byDefault), start: r.src.pos}
	encoding := transferEncoding(fields)
	multipart := encoding.isIdentity() && strings.HasPrefix(p.media.name, "multipart/")
	sealed := p.media.long || opaque(p.media.name, false)
	switch {
	case sealed || r.depth >= maxDepth:
	case encoding.isIdentity() && p.media.name == "message/rfc822":
		p.how = asMessage
		p.encoding = r.compositeEncoding(encoding)
		return p
	case multipart && p.media.boundary != "":
		own := "--" + p.media.boundary
		r.bounds = append(r.bounds, own)
		seen := r.lookAhead()
		r.bounds = r.bounds[:len(r.bounds)-1]
		if seen.level == len(r.bounds) {
			p.how = asMultipart
			p.encoding = r.compositeEncoding(encoding)
			return p
		}
		p.decide(r, seen, encoding)
		return p
	}
	seen := r.lookAhead()
	switch {
	case sealed && seen.nul:
		r.err = status.Data.Errorf("a signed part of the message has a NUL character, which no server takes")
		fallthrough
	case sealed:
		p.end, p.open = seen.end, seen.level < 0
	default:
		p.decide(r, seen, encoding)
	}
	return p
}

// compositeEncoding returns the encoding that a multipart or message is
// labelled with, when parts of it may lose their 8-bit text.
func (r *recoder) compositeEncoding(old encoding) string {
	switch {
	case old == "" || old == "7bit", r.eight && old == "8bit":
		return ""
	case r.eight:
		return "8bit"
	}
	return "7bit"
}

// decide chooses the encoding of a part that has no parts, from what was seen
// in it and the encoding it has.
func (p *plan) decide(r *recoder, seen sight, old encoding) {
	p.end, p.open = seen.end, seen.level < 0
	if !seen.nul && !seen.long && (!seen.eight || r.eight) {
		return
	}
	composite := strings.HasPrefix(p.media.name, "multipart/")
	text := composite || strings.HasPrefix(p.media.name, "text/") || strings.HasPrefix(p.media.name, "message/")
	switch {
	case old == "quoted-printable":
		p.how, p.encoded = inQP, true
		return
	case old == "base64":
		p.how, p.encoded = inBase64, true
		return
	case !old.isIdentity():
		return
	}
	if r.depth >= maxDepth && (composite || p.media.name == "message/rfc822") {
		p.how = cleaned
		return
	}
	p.how, p.encoding = inBase64, "base64"
	if text {
		p.how, p.encoding = inQP, "quoted-printable"
	}
	p.retype = composite || p.media.bad
	if seen.eight && p.media.charset == "" && text && !strings.HasPrefix(p.media.name, "message/") {
		p.charset = "utf-8"
		if seen.other {
			p.charset = unknownCharset
		}
	}
}

// apply returns the header for what p makes of the content.
func (p *plan) apply(fields []field) []field {
	if p.encoding == "" && p.how != asMultipart && p.how != asMessage {
		return fields
	}
	out := make([]field, 0, len(fields)+3)
	typed, version := false, false
	for _, f := range fields {
		switch {
		case p.encoding != "" && f.is("Content-Transfer-Encoding"):
			continue
		case f.is("Content-Type") && !typed && p.retype:
			continue
		case f.is("Content-Type") && !typed:
			typed = true
			if p.charset != "" {
				f = f.with("; charset=" + p.charset)
			}
		case f.is("MIME-Version"):
			version = true
		}
		out = append(out, f)
	}
	if p.message && !version {
		out = append(out, newField("MIME-Version", "1.0"))
	}
	if !typed && p.charset != "" {
		out = append(out, newField("Content-Type", "text/plain; charset="+p.charset))
	}
	if p.encoding != "" {
		out = append(out, newField("Content-Transfer-Encoding", p.encoding))
	}
	return out
}

// with returns f with text at the end of its value.
func (f field) with(text string) field {
	raw := strings.TrimRight(string(f.raw), " \t\r\n;") + text + "\r\n"
	return field{[]byte(raw), f.name, hasLongLine([]byte(raw))}
}

// A sight is what the scout saw up to a delimiter.
type sight struct {
	nul, eight, long bool
	other            bool  // 8-bit, but not UTF-8
	end              int64 // where the delimiter is
	level            int   // whose it is; -1 at the end of the message
}

// lookAhead sends the scout to the next delimiter of r.bounds.
func (r *recoder) lookAhead() sight {
	s := r.scout
	for s.pos < r.src.pos && !s.done {
		s.next()
	}
	var seen sight
	var runes runeChecker
	length := 0
	for ; !s.done; s.next() {
		if level, _ := r.delimiter(s); level >= 0 {
			seen.level, seen.end = level, s.pos
			return seen
		}
		length += len(s.piece)
		seen.long = seen.long || length > maxLine
		seen.nul = seen.nul || slices.Contains(s.piece, 0)
		if hasEightBit(s.piece) || runes.held > 0 {
			seen.eight = true
			seen.other = seen.other || !runes.valid(s.piece, s.end)
		}
		if s.end {
			length = 0
		}
	}
	seen.level, seen.end = -1, s.pos
	return seen
}

// A runeChecker checks UTF-8 that comes in pieces.
type runeChecker struct {
	hold [2 * utf8.UTFMax]byte
	held int // octets of hold that begin a character
}

// valid reports whether p is valid behind what came before; end says that no
// more of the line follows.
func (c *runeChecker) valid(p []byte, end bool) bool {
	for c.held > 0 && !utf8.FullRune(c.hold[:c.held]) && len(p) > 0 {
		c.hold[c.held] = p[0]
		c.held++
		p = p[1:]
	}
	if c.held > 0 {
		if !utf8.FullRune(c.hold[:c.held]) {
			return !end
		}
		ok := utf8.Valid(c.hold[:c.held])
		c.held = 0
		if !ok {
			return false
		}
	}
	if !end {
		n := len(p)
		for n > 0 && len(p)-n < utf8.UTFMax-1 && !utf8.RuneStart(p[n-1]) {
			n--
		}
		if n > 0 && !utf8.FullRune(p[n-1:]) {
			c.held = copy(c.hold[:], p[n-1:])
			p = p[:n-1]
		}
	}
	return utf8.Valid(p)
}
