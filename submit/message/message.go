// Package message reads an Internet message (RFC 5322) once, in constant
// memory, and gives it back as SMTP wants it: CRLF line ends and no others, no
// Bcc, and the fields a submitted message must have (RFC 6409 section 8).
//
//	stdin ─ lines ─┬─ header: fields in memory ── Tidy … EncodeHeader ────────┐
//	               │                                                          ├─ Open
//	               └─ body: CRLF already, in memory or in a file ─ re-encoded ┘
//	                                            only where the server needs it
//
// As it is read, the header keeps its bytes but for what SMTP forbids: lone CRs
// become folds, lines over 998 octets are folded, continuation lines of nothing
// but white space go. Then Tidy, RewriteAddresses, Complete and EncodeHeader, in
// that order, make of it a header that every server takes. Signed mail is never
// changed beyond line ends; it only loses Bcc and its like, and gains what is
// missing.
//
// Errors: NoInput when the input broke off, Data when the message cannot be
// sent as it is (header too long, NUL where none may be, an address of a -t
// header that cannot be parsed), TooBig when the header is longer than
// Options.MaxHeader, Refused 5.4.6 for a mail loop, Temporary when the body
// could not be kept.
package message

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

const (
	maxHeader   = 16 << 20 // octets of memory for the header, where Options say nothing
	maxLine     = 998      // octets of a line without its end (RFC 5322 section 2.1.1)
	maxReceived = 100      // RFC 5321 section 6.3
)

// Options say how a message is read.
type Options struct {
	Dot bool // a line of a single dot ends the message (no -i)
	// MaxHeader is how many octets of memory the header may take, and as many
	// again after changes; 0 for 16 MiB. One that is too long is Data, or
	// TooBig if this is set.
	MaxHeader int
	// Text allows for input without a header: if the lines before the first
	// blank line are not all header fields, or none is a field that mail knows,
	// all of it is the body.
	Text bool
	// Body says that there is no header: all of the input is the body.
	Body bool
}

// A Message is a message that has been read. Only its header is ever changed. It
// must be closed.
type Message struct {
	fields    []field
	body      *store
	long      bool // the body has a line over maxLine
	signed    bool
	copied    bool         // the body is another's
	parts     bool         // the header of a part is not ASCII, and is to be
	marked    bool         // a byte order mark stood before the header
	input     string       // what the input was taken for, where Options left that open
	maxHeader int          // octets by which the header may grow
	recoded   [2]*recoding // the body re-encoded, without and with 8BITMIME
}

// Read reads a message up to the end of r. When it returns nil, the message is
// whole: r ended without an error, or, with o.Dot, at the line that ends it. In
// any case r has been read to its end, unless it is a terminal or another
// device, so that whoever writes to it is not killed by a broken pipe.
func Read(r io.Reader, o Options) (*Message, error) {
	s := newScanner(r)
	m, err := read(s, o, nil)
	if !isDevice(r) {
		s.drain()
	}
	return m, err
}

// Open reads the message of size octets that r holds, as Read does. A large body
// of CRLF lines, which is what a queue holds, is not copied: the Message reads it
// from r, which must neither change nor be closed before the Message is.
func Open(r io.ReaderAt, size int64) (*Message, error) {
	whole := io.NewSectionReader(r, 0, size)
	m, err := read(newScanner(whole), Options{}, whole)
	if errors.Is(err, errChanged) {
		return Read(io.NewSectionReader(r, 0, size), Options{})
	}
	return m, err
}

// read makes a Message of what s reads, which is in whole, too, unless that is
// nil.
func read(s *scanner, o Options, whole *io.SectionReader) (*Message, error) {
	m := &Message{body: new(store), maxHeader: cmp.Or(o.MaxHeader, maxHeader), marked: s.skipMark()}
	err := m.read(s, o, whole)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// read reads header and body, up to the end of s or the line that ends the
// message. The body stays in whole, if that is not nil.
func (m *Message) read(s *scanner, o Options, whole *io.SectionReader) error {
	h := headerReader{scanner: s, dot: o.Dot, limit: m.maxHeader, kind: status.Data}
	if o.MaxHeader > 0 {
		h.kind = status.TooBig
	}
	b := bodyWriter{store: m.body}
	if o.Text {
		h.text = &b
	}
	if !o.Body {
		if err := h.read(); err != nil {
			return err
		}
	}
	if m.input = h.verdict(); m.input == "" || m.input == withHeader {
		m.fields = h.fields
		b.length, b.long = 0, false
		if err := m.body.reset(); err != nil || h.fault != nil {
			return cmp.Or(h.fault, err)
		}
	}
	if whole != nil {
		m.body.from = &original{SectionReader: io.NewSectionReader(whole, s.offset(), whole.Size()-s.offset())}
	}
	var err error
	if !h.held {
		err = h.next()
	}
	for ; err == nil && !h.isDot(); err = h.next() {
		if err := b.write(h.piece, h.end); err != nil {
			return err
		}
	}
	if err != nil && err != io.EOF {
		return status.NoInput.Errorf("reading the message: %w", err)
	}
	m.long = b.long
	return m.body.finish()
}

// Input says what the input was taken for, if Options.Text left that open. odd
// says that the first line looks like a header field, and is none.
func (m *Message) Input() (what string, odd bool) {
	return m.input, strings.HasPrefix(m.input, noHeader)
}

// check refuses what can be told only from the whole message.
func (m *Message) check() error {
	received := 0
	for _, f := range m.fields {
		if f.is("Received") {
			received++
		}
	}
	if received >= maxReceived {
		return status.Refused.With(status.Code{Class: 5, Subject: 4, Detail: 6},
			fmt.Errorf("mail loop: the message has %d Received fields", received))
	}
	if m.signed = m.isSigned(); !m.signed {
		for i, f := range m.fields {
			m.fields[i] = f.folded()
		}
	} else if m.body.nul {
		return status.Data.Errorf("the body of signed mail has a NUL character, which no server accepts")
	}
	return nil
}

// isDevice reports whether r is a terminal or another device. Nobody at its
// other end can get a SIGPIPE, and a person who typed the final dot expects an
// answer.
func isDevice(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// isSigned reports whether a signature or encryption covers the message, so
// that changing it would break it.
func (m *Message) isSigned() bool {
	if find(m.fields, "DKIM-Signature") != nil {
		return true
	}
	if t := contentType(m.fields, "text/plain"); t.long || opaque(t.name, true) {
		return true
	}
	start := make([]byte, 512)
	n, _ := m.body.ReadAt(start, 0)
	return bytes.HasPrefix(bytes.TrimLeft(start[:n], "\r\n \t"), []byte("-----BEGIN PGP SIGNED MESSAGE-----"))
}

// A Survey is what a server must be able to take, or the message be changed
// for it.
type Survey struct {
	Size     int64 // octets of the wire form, before any re-encoding
	EightBit bool  // an octet over 127 in body or header
	UTF8     bool  // an address in the header is not ASCII, and needs SMTPUTF8
	Signed   bool  // signed or encrypted: never changed
}

// Survey returns what the message is like, with what was done to its header.
func (m *Message) Survey() Survey {
	_, size := wireHeader(m.fields)
	return Survey{
		Size:     size + m.body.size,
		EightBit: m.body.eight || slices.ContainsFunc(m.fields, func(f field) bool { return f.isSent() && hasEightBit(f.raw) }),
		UTF8:     slices.ContainsFunc(m.fields, field.needsUTF8),
		Signed:   m.signed,
	}
}

// Open returns the message from its start in the form that f can take, and the
// size of that in octets. Every line of it ends in CRLF and no CR or LF stands
// alone, so with dot-stuffing, which is the caller's, nothing in it can end it
// early. The readers of several calls are independent. The body is re-encoded
// where it has a NUL or a line over 998 octets, or is 8-bit and f is not, or the
// header of a part is 8-bit.
func (m *Message) Open(f envelope.Form) (io.Reader, int64, error) {
	fields, body := m.fields, m.body
	if m.needsRecoding(f) {
		c, err := m.recoding(f)
		if err != nil {
			return nil, 0, err
		}
		fields, body = c.plan.apply(fields), c.body
	}
	header, size := wireHeader(fields)
	// The Reader alone: as a WriterTo, net.Buffers would write each field by itself.
	return io.MultiReader(struct{ io.Reader }{&header}, body.open()), size + body.size, nil
}

// AsIs returns what of the message f cannot take, if that is sent all the same
// because the message is signed; otherwise "".
func (m *Message) AsIs(f envelope.Form) string {
	switch {
	case !m.signed:
	case m.body.eight && !f.EightBit:
		return "the server does not support 8-bit text (8BITMIME)"
	case m.long:
		return fmt.Sprintf("lines of more than %d octets", maxLine)
	}
	return ""
}

// Copy returns a message with a header of its own and m's body. It must be
// closed before m.
func (m *Message) Copy() *Message {
	c := *m
	c.fields, c.copied, c.recoded = slices.Clone(m.fields), true, [2]*recoding{}
	return &c
}

// Close forgets the message and the files it was kept in.
func (m *Message) Close() (err error) {
	if !m.copied {
		err = m.body.close()
	}
	for _, c := range m.recoded {
		if c != nil {
			c.body.close()
		}
	}
	return err
}
