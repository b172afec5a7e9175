// Package message reads an Internet message (RFC 5322) once, in constant memory, and
// returns it in the form that SMTP requires: with CRLF line ends only, without Bcc, and
// with the fields that a submitted message must have (RFC 6409 section 8).
//
//	stdin ─ lines ─┬─ header: fields in memory ── Tidy … EncodeHeader ────────┐
//	               │                                                          ├─ Open
//	               └─ body: CRLF already, in memory or in a file ─ re-encoded ┘
//	                                            only where the server needs it
//
// Read changes a header only where SMTP forbids its octets: a lone CR becomes a fold, a
// line over 998 octets is folded, a continuation line of white space is removed. Then
// Tidy, RewriteAddresses, Complete and EncodeHeader, in this order, make a header that
// every server accepts. In signed mail only line ends change, the fields that are never
// sent (Bcc) are removed, and missing fields are added.
//
// Errors: NoInput if reading the input failed, Data if the message cannot be sent as it
// is (the header is too long, a NUL is where none may be, -t finds an address in the
// header that cannot be parsed), TooBig if the header exceeds Options.MaxHeader, Refused
// 5.4.6 for a mail loop, Temporary if the body could not be stored.
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
	maxHeader   = 16 << 20 // default of Options.MaxHeader
	maxLine     = 998      // octets of a line without its end (RFC 5322 section 2.1.1)
	maxReceived = 100      // Received fields, before a message is in a loop (RFC 5321 section 6.3)
)

// Options say how a message is read.
type Options struct {
	Dot bool // a line of a single dot ends the message (no -i)
	// MaxHeader is the largest size of the header in octets of memory. Changes may
	// add as many again. 0: 16 MiB. The error of a longer header is TooBig, or Data
	// if MaxHeader is 0.
	MaxHeader int
	// Text allows input without a header: the whole input is the body if a line before
	// the first blank line is no header field, or none is a field that mail uses.
	Text bool
	// Body says that the input has no header: the whole input is the body.
	Body bool
	// Stop says that no program waits for the end of the input: after an error, Read leaves
	// the rest.
	Stop bool
}

// A Message is a message that has been read. Only its header can be changed. The caller
// must close it.
type Message struct {
	fields        []field
	body          *store
	long          bool // the body has a line over maxLine
	signed        bool
	sharesBody    bool         // the body belongs to another Message, which closes it
	eightBitParts bool         // the header of a part is not ASCII: Open encodes it
	hadMark       bool         // a byte order mark stood before the header
	input         string       // what Input returns
	maxHeader     int          // number of octets by which the header may grow
	recoded       [2]*recoding // the body re-encoded, without and with 8BITMIME; nil: not yet
}

// Read reads a message from r. Without an error the message is whole: r ended, or, with
// o.Dot, a line of a single dot ended the message. Even after an error Read reads r to
// its end, unless o.Stop is set, or r is a terminal or another device: otherwise the program
// that writes to a pipe would be killed by SIGPIPE.
func Read(r io.Reader, o Options) (*Message, error) {
	s := newScanner(r)
	m, err := read(s, o, nil)
	if !o.Stop && !isDevice(r) {
		s.drain()
	}
	return m, err
}

// Open reads the message in the first size octets of r, as Read does. A large body whose
// line ends are CRLF, as in a queue, is not copied: the Message reads it from r, which
// must not change or be closed before the Message is closed.
func Open(r io.ReaderAt, size int64) (*Message, error) {
	whole := io.NewSectionReader(r, 0, size)
	m, err := read(newScanner(whole), Options{}, whole)
	if errors.Is(err, errChanged) {
		return Read(io.NewSectionReader(r, 0, size), Options{})
	}
	return m, err
}

// read reads a Message from s. If whole is not nil, it has the same octets as s, and the
// body may stay there.
func read(s *scanner, o Options, whole *io.SectionReader) (*Message, error) {
	m := &Message{body: new(store), maxHeader: cmp.Or(o.MaxHeader, maxHeader), hadMark: s.skipMark()}
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

// read reads header and body, up to the end of s or to the line that ends the message. A
// large body stays in whole, if whole is not nil.
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

// Input returns in words whether the input was read with a header or as text; "": neither
// Options.Text nor the input left a choice. odd says that the input begins like a header,
// and was read as text nevertheless.
func (m *Message) Input() (what string, odd bool) {
	return m.input, strings.HasPrefix(m.input, noHeader)
}

// check returns the errors that only the whole message shows, and sets signed.
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

// isDevice reports whether r is a terminal or another device. No program there can get a
// SIGPIPE, and a person who has typed the final dot waits for an answer.
func isDevice(r io.Reader) bool {
	f, ok := r.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// isSigned reports whether the message is signed or encrypted, so that a change would
// break the signature.
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

// A Survey says what the message demands of a server.
type Survey struct {
	Size     int64 // octets on the wire, before any re-encoding
	EightBit bool  // an octet over 127 in body or header
	UTF8     bool  // an address in the header is not ASCII, and needs SMTPUTF8
	Signed   bool  // signed or encrypted: never changed
}

// Survey returns the Survey of the message with the changes made to its header so far.
func (m *Message) Survey() Survey {
	_, size := wireHeader(m.fields)
	return Survey{
		Size:     size + m.body.size,
		EightBit: m.body.eight || slices.ContainsFunc(m.fields, func(f field) bool { return f.isSent() && hasEightBit(f.raw) }),
		UTF8:     slices.ContainsFunc(m.fields, field.needsUTF8),
		Signed:   m.signed,
	}
}

// IsLarge reports whether the body has more than 1 MiB. Such a body is in a file.
func (m *Message) IsLarge() bool { return m.body.size > maxInCore }

// Open returns the message from its start in the form f, and its size in octets. Every
// line ends with CRLF, and no CR or LF stands alone: with the caller's dot-stuffing no
// text can end the message early. The readers of several calls are independent. Open
// re-encodes the body if it has a NUL or a line over 998 octets, if it is 8-bit and f is
// not, or if the header of a part is 8-bit.
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
	// Only the Reader of net.Buffers: its WriterTo would write each field in a Write of its own.
	return io.MultiReader(struct{ io.Reader }{&header}, body.open()), size + body.size, nil
}

// AsIs returns in words why the message does not fit f, if it is sent unchanged
// nevertheless because it is signed; otherwise "".
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

// Copy returns a message with a header of its own and the body of m. The caller must
// close the copy before m.
func (m *Message) Copy() *Message {
	c := *m
	c.fields, c.sharesBody, c.recoded = slices.Clone(m.fields), true, [2]*recoding{}
	return &c
}

// Close frees the memory of the message, and closes and removes its files.
func (m *Message) Close() (err error) {
	if !m.sharesBody {
		err = m.body.close()
	}
	for _, c := range m.recoded {
		if c != nil {
			c.body.close()
		}
	}
	return err
}
