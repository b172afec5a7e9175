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

// If the server cannot take a message as it is, a recoder reads the MIME structure of the
// body (RFC 2045, RFC 2046), and changes only the parts that the server cannot take:
//
//	multipart, message/rfc822            their parts are changed: RFC 2046
//	                                     allows no encoding of the whole
//	multipart/signed, /encrypted         copied unchanged, with all their parts
//	text, no encoding                    quoted-printable, with a charset if
//	                                     it is 8-bit and had none
//	other types, no encoding             base64
//	quoted-printable, base64             copied, in lines of the usual length
//	uuencode and x- encodings            copied unchanged
//
// Two scanners read the body: at the start of a part the scanner ahead reads to the end of
// the part, to find out what is in it, and then the scanner src copies it. So any message
// is re-encoded in constant memory. The result is kept in a store, as a body is.
const (
	maxDepth      = 50      // levels of nesting; a deeper multipart is taken as text
	maxPartHeader = 1 << 20 // octets of the header of a part; the rest is taken as text
)

// A recoding is a re-encoded body, and the plan that changes the header to match it.
type recoding struct {
	plan plan
	body *store
}

// needsRecoding reports whether f cannot take the body as it is.
func (m *Message) needsRecoding(f envelope.Form) bool {
	return !m.signed && (m.body.nul || m.long || m.eightBitParts || m.body.eight && !f.EightBit)
}

// recoding returns the body re-encoded for f. It does the work once for each kind of f.
func (m *Message) recoding(f envelope.Form) (*recoding, error) {
	cached := &m.recoded[0]
	if f.EightBit {
		cached = &m.recoded[1]
	}
	if *cached != nil {
		return *cached, nil
	}
	r := recoder{src: scanBody(m.body), ahead: scanBody(m.body), out: new(store), allowEight: f.EightBit}
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
	*cached = &recoding{p, r.out}
	return *cached, nil
}

// A recoder copies a body part by part from src to out. After an error it goes on to the
// end of src, but writes nothing more.
type recoder struct {
	src, ahead *scanner // src is copied; ahead reads the same body before it
	out        *store   // nil: write nothing, only look at the parts
	allowEight bool     // 8-bit text may stay
	found      bool     // the header of a part was not ASCII
	bounds     []string // delimiters of the enclosing multiparts, the outermost first
	depth      int      // level of nesting of the current part
	err        error    // the first error
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

// part copies the part that begins at src, up to the next delimiter of an enclosing
// multipart. byDefault is its type if it has no Content-Type. message says that it is the
// message in a message/rfc822 part.
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

// inASCII encodes the fields of a part. It leaves the header of a forwarded message alone
// if 8-bit text is allowed, because a change could break the signature of that message.
func (r *recoder) inASCII(fields []field, message bool) []field {
	if message && r.allowEight {
		return fields
	}
	charset := legacyCharset(fields)
	for i, f := range fields {
		if f.is("Content-ID") { // links in other parts refer to the ID
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

// header reads the header of a part. blank says that a blank line ended the header. whole
// is false if the header is over maxPartHeader: its rest is still in src.
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

// delimiter returns the index in bounds of the delimiter that is the current line of s; -1
// if the line is no delimiter. last says that the delimiter ends its multipart.
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

// content copies the content of a part as p says.
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

// multipart copies the parts of a multipart, and the text before and after them, which
// mail programs do not show.
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

// text copies text up to the next delimiter for which no encoding can be declared. Octets
// that the server does not take become question marks, and long lines are folded.
func (r *recoder) text() {
	column := 0
	for ; !r.src.done; r.src.next() {
		if level, _ := r.delimiter(r.src); level >= 0 {
			return
		}
		for p := r.src.piece; len(p) > 0; {
			if column == maxLine {
				r.write(crlfSpace) // without the space the line could look like a delimiter
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
		if c == 0 || c > 127 && !r.allowEight {
			p[i] = '?' // in the buffer of src: these octets are not read again
		}
	}
	r.write(p)
}

// encode copies the content of p through e. The line end before a delimiter belongs to the
// delimiter, not to the content (RFC 2046 section 5.1.1).
func (r *recoder) encode(p plan, e encoder) {
	for r.src.pos < p.end && !r.src.done {
		s := r.src
		e.text(s.piece)
		last := s.pos+int64(len(s.piece))+2 == p.end
		if s.end && (p.atEOF || !last) {
			e.newline()
		}
		s.next()
	}
	if e.close() || !p.atEOF && p.end > p.start {
		r.write(crlf)
	}
}

// scanBody returns a scanner at the first piece of body.
func scanBody(body *store) *scanner {
	s := newScanner(body.open())
	s.eol = '\n' // the lines of a stored body end with CRLF: a lone CR is not in it
	s.next()
	return s
}
