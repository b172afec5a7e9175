package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"sendoff/submit/status"
)

// A treatment is how the content of a part is copied.
type treatment uint8

const (
	asIs        treatment = iota
	asMultipart           // part by part
	asMessage             // as a message with a header and parts of its own
	inQP
	inBase64
	cleaned // with the octets that cannot be sent replaced
)

// A plan is the decision about a part: how its content is copied, and how the fields of
// its header that describe the content change.
type plan struct {
	how     treatment
	media   mediaType
	encoded bool  // the content is encoded already: only its lines are broken anew
	start   int64 // where the content begins in the body
	end     int64 // where the content ends: at a delimiter, or at the end of the message
	atEOF   bool  // end is the end of the message

	message  bool   // the header is that of a message, and needs MIME-Version
	encoding string // new Content-Transfer-Encoding; "": the field stays as it is
	charset  string // to be added to Content-Type; "": none
	retype   bool   // the Content-Type does not describe the content, and is removed
}

// plan decides about the part whose header, fields, has just been read. byDefault is its
// type if it has no Content-Type.
func (r *recoder) plan(fields []field, byDefault string) plan {
	p := plan{media: contentType(fields, byDefault), start: r.src.pos}
	encoding := transferEncoding(fields)
	sealed := p.media.long || opaque(p.media.name, false)
	mayHaveParts := encoding.isIdentity() && !sealed && r.depth < maxDepth
	if mayHaveParts && p.media.name == "message/rfc822" {
		p.how, p.encoding = asMessage, r.compositeEncoding(encoding)
		return p
	}
	outer := r.bounds
	if mayHaveParts && p.media.boundary != "" && strings.HasPrefix(p.media.name, "multipart/") {
		r.bounds = append(outer, "--"+p.media.boundary)
	}
	ahead := r.lookAhead()
	r.bounds = outer
	if ahead.level == len(outer) {
		p.how, p.encoding = asMultipart, r.compositeEncoding(encoding)
		return p
	}
	p.end, p.atEOF = ahead.end, ahead.level < 0
	switch {
	case !sealed:
		p.decide(r, ahead, encoding)
	case ahead.nul:
		r.err = status.Data.Errorf("a signed part of the message has a NUL character, which no server accepts")
	}
	return p
}

// compositeEncoding returns the new Content-Transfer-Encoding of a multipart or message,
// whose parts may be changed to 7bit; "": it stays as declared.
func (r *recoder) compositeEncoding(declared encoding) string {
	switch {
	case declared == "" || declared == "7bit", r.allowEight && declared == "8bit":
		return ""
	case r.allowEight:
		return "8bit"
	}
	return "7bit"
}

// decide chooses the encoding of a part without parts, from its content, ahead, and the
// encoding that its header declares.
func (p *plan) decide(r *recoder, ahead preview, declared encoding) {
	composite := strings.HasPrefix(p.media.name, "multipart/")
	text := composite || strings.HasPrefix(p.media.name, "text/") || strings.HasPrefix(p.media.name, "message/")
	switch {
	case !ahead.nul && !ahead.long && (!ahead.eight || r.allowEight):
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
		if ahead.notUTF8 {
			p.charset = unknownCharset
		}
	}
}

// apply returns the header of the part with the changes of p.
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

// A preview says what the content up to the next delimiter has in it, and where it ends.
type preview struct {
	octets
	long  bool  // a line is over maxLine
	end   int64 // where the delimiter, or the end of the message, is in the body
	level int   // index in bounds of the delimiter; -1: the message ends
}

// lookAhead reads from the position of src to the next delimiter of bounds.
func (r *recoder) lookAhead() (ahead preview) {
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

// octets says which kinds of octets a text has. inspect gets the text in pieces.
type octets struct {
	nul     bool   // a NUL
	eight   bool   // an octet over 127
	notUTF8 bool   // 8-bit text that is not UTF-8
	partial []byte // the first octets of a character that the last piece has cut
}

func (c *octets) inspect(p []byte) {
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	if hasEightBit(p) || len(c.partial) > 0 {
		c.eight = true
		c.notUTF8 = c.notUTF8 || !c.isUTF8(p)
	}
}

// isUTF8 reports whether p, after partial, is UTF-8. It keeps the first octets of a
// character that p cuts.
func (c *octets) isUTF8(p []byte) bool {
	if n := len(c.partial); n > 0 {
		c.partial = append(c.partial, p[:min(len(p), utf8.UTFMax-1)]...)
		if !utf8.FullRune(c.partial) {
			return true
		}
		_, size := utf8.DecodeRune(c.partial)
		c.partial = nil
		if size <= n {
			return false
		}
		p = p[size-n:]
	}
	for i := max(0, len(p)-utf8.UTFMax+1); i < len(p); i++ {
		if !utf8.FullRune(p[i:]) {
			c.partial = bytes.Clone(p[i:])
			p = p[:i]
		}
	}
	return utf8.Valid(p)
}
