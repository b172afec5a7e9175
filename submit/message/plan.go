package message

import (
	"bytes"
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
	retype   bool   // the Content-Type does not describe the content, and is left out
}

// plan looks at the part whose header has been read and decides.
func (r *recoder) plan(fields []field, byDefault string) plan {
	p := plan{media: contentType(fields, byDefault), start: r.src.pos}
	encoding := transferEncoding(fields)
	sealed := p.media.long || opaque(p.media.name, false)
	open := encoding.isIdentity() && !sealed && r.depth < maxDepth
	if open && p.media.name == "message/rfc822" {
		p.how, p.encoding = asMessage, r.compositeEncoding(encoding)
		return p
	}
	around := r.bounds
	if open && p.media.boundary != "" && strings.HasPrefix(p.media.name, "multipart/") {
		r.bounds = append(around, "--"+p.media.boundary)
	}
	ahead := r.lookAhead()
	r.bounds = around
	if ahead.level == len(around) {
		p.how, p.encoding = asMultipart, r.compositeEncoding(encoding)
		return p
	}
	p.end, p.open = ahead.end, ahead.level < 0
	switch {
	case !sealed:
		p.decide(r, ahead, encoding)
	case ahead.nul:
		r.err = status.Data.Errorf("a signed part of the message has a NUL character, which no server accepts")
	}
	return p
}

// compositeEncoding returns the encoding that a multipart or message is
// labelled with, when parts of it may lose their 8-bit text.
func (r *recoder) compositeEncoding(declared encoding) string {
	switch {
	case declared == "" || declared == "7bit", r.eight && declared == "8bit":
		return ""
	case r.eight:
		return "8bit"
	}
	return "7bit"
}

// decide chooses the encoding of a part that has no parts, from what is in it and
// the encoding that its header declares.
func (p *plan) decide(r *recoder, ahead lookout, declared encoding) {
	composite := strings.HasPrefix(p.media.name, "multipart/")
	text := composite || strings.HasPrefix(p.media.name, "text/") || strings.HasPrefix(p.media.name, "message/")
	switch {
	case !ahead.nul && !ahead.long && (!ahead.eight || r.eight):
		return
	case declared == "quoted-printable":
		p.how, p.encoded = inQP, true
		return
	case declared == "base64":
		p.how, p.encoded = inBase64, true
		return
	case !declared.isIdentity():
		return
	case r.depth >= maxDepth && (composite || p.media.name == "message/rfc822"):
		p.how = cleaned
		return
	}
	p.how, p.encoding = inBase64, "base64"
	if text {
		p.how, p.encoding = inQP, "quoted-printable"
	}
	p.retype = composite || p.media.bad
	if ahead.eight && p.media.charset == "" && text && !strings.HasPrefix(p.media.name, "message/") {
		p.charset = "utf-8"
		if ahead.other {
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
				f.raw = []byte(strings.TrimRight(string(f.raw), " \t\r\n;") + "; charset=" + p.charset + "\r\n")
				f = f.folded()
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

// A lookout is what the part ahead contains, and where it ends.
type lookout struct {
	contents
	long  bool  // it has a line over maxLine
	end   int64 // where the delimiter behind it is
	level int   // which of bounds the delimiter is of; -1 at the end of the message
}

// lookAhead reads up to the next delimiter of bounds.
func (r *recoder) lookAhead() (ahead lookout) {
	s := r.ahead
	for s.pos < r.src.pos && !s.done {
		s.next()
	}
	length := 0
	for ; !s.done; s.next() {
		if level, _ := r.delimiter(s); level >= 0 {
			ahead.level, ahead.end = level, s.pos
			return ahead
		}
		length += len(s.piece)
		ahead.long = ahead.long || length > maxLine
		ahead.inspect(s.piece)
		if s.end {
			ahead.inspect(crlf)
			length = 0
		}
	}
	ahead.level, ahead.end = -1, s.pos
	return ahead
}

// contents says which octets there are in a text that comes in pieces.
type contents struct {
	nul   bool   // a NUL
	eight bool   // an octet over 127
	other bool   // 8-bit text that is not UTF-8
	begun []byte // the start of a character, at the end of the last piece
}

func (c *contents) inspect(p []byte) {
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	if hasEightBit(p) || len(c.begun) > 0 {
		c.eight = true
		c.other = c.other || !c.isUTF8(p)
	}
}

// isUTF8 reports whether p, behind what came before, is UTF-8.
func (c *contents) isUTF8(p []byte) bool {
	if n := len(c.begun); n > 0 {
		c.begun = append(c.begun, p[:min(len(p), utf8.UTFMax-1)]...)
		if !utf8.FullRune(c.begun) {
			return true
		}
		_, size := utf8.DecodeRune(c.begun)
		c.begun = nil
		if size <= n {
			return false
		}
		p = p[size-n:]
	}
	for i := max(0, len(p)-utf8.UTFMax+1); i < len(p); i++ {
		if !utf8.FullRune(p[i:]) {
			c.begun = bytes.Clone(p[i:])
			p = p[:i]
		}
	}
	return utf8.Valid(p)
}
