package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A message that its server cannot take as it is, is taken apart along its
// MIME structure (RFC 2045, RFC 2046), and only those parts are changed that
// need it:
//
//	multipart, message/rfc822            descended into: RFC 2046 lets no
//	                                     encoding cover them
//	multipart/signed, /encrypted         left as it is, with all in it
//	text, no encoding                    quoted-printable, with a charset if
//	                                     it is 8-bit and had none
//	other types, no encoding             base64
//	quoted-printable, base64             kept, but broken into lines of the
//	                                     usual length
//	uuencode and x- encodings            left as they are
//
// Two readers go over the body, one ahead of the other: at the start of each
// part the second one runs to its end and tells what is in it, so any message is
// re-encoded in constant memory. The result is kept like a body.
const (
	maxDepth      = 50      // of nesting; deeper parts are not looked into
	maxPartHeader = 1 << 20 // octets of the header of a part
)

// A recoding is a body in another form, and what to do to the header for it.
type recoding struct {
	plan plan
	body *store
}

// needsRecoding reports whether f cannot take the body as it is.
func (m *Message) needsRecoding(f envelope.Form) bool {
	return !m.signed && (m.body.nul || m.long || m.parts || m.body.eight && !f.EightBit)
}

// recoding returns the body in a form that f can take.
func (m *Message) recoding(f envelope.Form) (*recoding, error) {
	known := &m.recoded[0]
	if f.EightBit {
		known = &m.recoded[1]
	}
	if *known != nil {
		return *known, nil
	}
	r := recoder{src: scanBody(m.body), ahead: scanBody(m.body), out: new(store), eight: f.EightBit}
	p := r.plan(m.fields, "text/plain")
	p.message = true
	r.content(p)
	err := r.error()
	if err == nil {
		err = r.out.finish()
	}
	if err != nil {
		r.out.close()
		return nil, err
	}
	*known = &recoding{p, r.out}
	return *known, nil
}

// A recoder copies a body part by part from src to out. Its first error stays
// in err, and ends the copying when the source does.
type recoder struct {
	src, ahead *scanner // what is copied, and what is looked at before
	out        *store   // nil to look only
	eight      bool     // 8-bit text may stay
	found      bool     // a part had a header that was not ASCII
	bounds     []string // delimiters of the multiparts around, the outermost first
	depth      int
	err        error
}

func (r *recoder) write(p []byte) {
	if r.err == nil && r.out != nil {
		_, r.err = r.out.Write(p)
	}
}

func (r *recoder) error() error {
	for _, s := range [...]*scanner{r.src, r.ahead} {
		if r.err == nil && s.err != io.EOF {
			r.err = status.Temporary.Wrap(s.err)
		}
	}
	return r.err
}

// part copies the part, or the message within a part, that begins here, up to
// the next delimiter of any multipart around it. byDefault is its type if it
// has none.
func (r *recoder) part(byDefault string, message bool) {
	fields, blank, whole := r.header()
	if !whole {
		r.copyHeader(fields, blank)
		r.text()
		return
	}
	r.depth++
	p := r.plan(fields, byDefault)
	p.message = message
	r.copyHeader(r.inASCII(p.apply(fields), message), blank)
	r.content(p)
	r.depth--
}

// inASCII encodes the fields of a part. A message within the message stays as
// it is, where it can: its signature may matter to somebody.
func (r *recoder) inASCII(fields []field, message bool) []field {
	if message && r.eight {
		return fields
	}
	charset := legacyCharset(fields)
	for i, f := range fields {
		if f.is("Content-ID") { // what the text of another part names
			continue
		}
		e, how := f.encoded(charset)
		if fields[i] = e; how != "" {
			r.found = true
		}
	}
	return fields
}

func (r *recoder) copyHeader(fields []field, blank bool) {
	for _, f := range fields {
		r.write(f.raw)
	}
	if blank {
		r.write(crlf)
	}
}

// header reads the header of a part. blank says that a blank line ended it,
// whole that it was not too long to be read to its end.
func (r *recoder) header() (fields []field, blank, whole bool) {
	var b fieldBuilder
	total := 0
	end := func() []field {
		if !b.isEmpty() {
			f := b.field()
			f.raw = bytes.ReplaceAll(f.raw, []byte{0}, []byte("?"))
			fields = append(fields, f.folded())
		}
		return fields
	}
	for ; !r.src.done; r.src.next() {
		s := r.src
		if level, _ := r.delimiter(s); level >= 0 {
			return end(), false, true
		}
		if s.first && len(s.piece) == 0 {
			s.next()
			return end(), true, true
		}
		if s.first && !isSpace(s.piece[0]) {
			end()
		}
		if total += len(s.piece); total > maxPartHeader && s.first {
			return end(), false, false
		}
		b.add(s.piece, s.end)
	}
	return end(), false, true
}

// delimiter returns which of bounds has its delimiter at s, -1 for none, and
// whether that is the last one of its multipart.
func (r *recoder) delimiter(s *scanner) (level int, last bool) {
	if s.done || !s.first || !s.end || len(s.piece) < 2 || s.piece[0] != '-' || s.piece[1] != '-' {
		return -1, false
	}
	line := strings.TrimRight(string(s.piece), " \t")
	for i, bound := range slices.Backward(r.bounds) {
		if rest, ok := strings.CutPrefix(line, bound); ok && (rest == "" || rest == "--") {
			return i, rest != ""
		}
	}
	return -1, false
}

// content copies what follows a part's header as p says.
func (r *recoder) content(p plan) {
	switch p.how {
	case asMultipart:
		r.multipart(p)
	case asMessage:
		r.part("text/plain", true)
	case asIs:
		for r.src.pos < p.end && !r.src.done {
			r.copyPiece()
		}
	case cleaned:
		r.text()
	case inQP:
		r.encode(p, &qpEncoder{w: r, encoded: p.encoded})
	case inBase64:
		b := &base64Encoder{w: r, encoded: p.encoded}
		b.encoder = base64.NewEncoder(base64.StdEncoding, b)
		r.encode(p, b)
	}
}

// multipart copies the parts of a multipart. What stands around them is for
// nobody to read.
func (r *recoder) multipart(p plan) {
	outer := len(r.bounds)
	r.bounds = append(r.bounds, "--"+p.media.boundary)
	byDefault := "text/plain"
	if p.media.name == "multipart/digest" {
		byDefault = "message/rfc822"
	}
	r.text()
	level, last := r.delimiter(r.src)
	for level == outer && !last {
		r.copyPiece()
		r.part(byDefault, false)
		level, last = r.delimiter(r.src)
	}
	r.bounds = r.bounds[:outer]
	if level == outer {
		r.copyPiece()
		r.text()
	}
}

func (r *recoder) copyPiece() {
	r.write(r.src.piece)
	if r.src.end {
		r.write(crlf)
	}
	r.src.next()
}

// text copies up to the next delimiter what no encoding can be declared for:
// octets that cannot travel become question marks, and long lines are folded.
func (r *recoder) text() {
	column := 0
	for ; !r.src.done; r.src.next() {
		if level, _ := r.delimiter(r.src); level >= 0 {
			return
		}
		for p := r.src.piece; len(p) > 0; {
			if column == maxLine {
				r.write(crlfSpace) // the space keeps it from looking like a delimiter
				column = 1
			}
			n := min(len(p), maxLine-column)
			r.clean(p[:n])
			column += n
			p = p[n:]
		}
		if r.src.end {
			r.write(crlf)
			column = 0
		}
	}
}

func (r *recoder) clean(p []byte) {
	for i, c := range p {
		if c == 0 || c > 127 && !r.eight {
			p[i] = '?' // p is the source's buffer, which is read once
		}
	}
	r.write(p)
}

// encode copies the content of p through e. The line end before a delimiter is
// the delimiter's (RFC 2046 section 5.1.1).
func (r *recoder) encode(p plan, e encoder) {
	for r.src.pos < p.end && !r.src.done {
		s := r.src
		e.text(s.piece)
		last := s.pos+int64(len(s.piece))+2 == p.end
		if s.end && (p.open || !last) {
			e.newline()
		}
		s.next()
	}
	if e.close() || !p.open && p.end > p.start {
		r.write(crlf)
	}
}

// scanBody returns a scanner that has the first piece of a body.
func scanBody(body *store) *scanner {
	s := newScanner(body.open())
	s.eol = '\n' // the body's line ends are ours already
	s.next()
	return s
}
