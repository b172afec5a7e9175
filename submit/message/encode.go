package message

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// An encoder writes a text in a content transfer encoding.
type encoder interface {
	text(p []byte) // takes a piece of a line
	newline()      // takes a line end
	close() bool   // ends the text; true: the last line is not empty and has no line end
}

const (
	softLimit = 72  // octets of a quoted-printable line; only an escape of the input may cross the limit
	hardLimit = 120 // octets of a quoted-printable line; here even an escape is broken
	hexDigits = "0123456789ABCDEF"
)

// A qpEncoder writes quoted-printable (RFC 2045 section 6.7). If encoded is set, the input
// is quoted-printable already: only long lines are broken, and octets that
// quoted-printable does not allow are escaped.
type qpEncoder struct {
	w       *recoder
	encoded bool
	line    [hardLimit + 8]byte
	n       int  // length of line
	soft    bool // a soft line break stands before the line
}

func (q *qpEncoder) text(p []byte) {
	for _, c := range p {
		literal := ' ' <= c && c <= '~' && c != '=' || c == '\t' || c == '=' && q.encoded
		size := 1
		if !literal {
			size = 3
		}
		if q.n+size > softLimit && (!q.inEscape() || q.n+size > hardLimit) {
			q.line[q.n] = '='
			q.flush(q.n + 1)
			q.soft = true
		}
		// A line after a soft break must not begin with "-": it could look like a delimiter.
		if literal && (c != '-' || q.n > 0 || !q.soft) {
			q.line[q.n] = c
			q.n++
			continue
		}
		q.escape(q.n, c)
		q.n += 3
	}
}

// inEscape reports whether the line ends within an escape of an encoded input. The line
// must have two octets at least.
func (q *qpEncoder) inEscape() bool {
	return q.encoded && (q.line[q.n-1] == '=' || q.line[q.n-2] == '=')
}

func (q *qpEncoder) escape(at int, c byte) {
	q.line[at], q.line[at+1], q.line[at+2] = '=', hexDigits[c>>4], hexDigits[c&15]
}

// flush writes n octets of the line, and a line end.
func (q *qpEncoder) flush(n int) {
	q.line[n], q.line[n+1] = '\r', '\n'
	q.w.write(q.line[:n+2])
	q.n = 0
}

// endText escapes white space at the end of the line, because servers may remove it.
func (q *qpEncoder) endText() {
	if q.n > 0 && !q.encoded && isSpace(q.line[q.n-1]) {
		q.escape(q.n-1, q.line[q.n-1])
		q.n += 2
	}
}

func (q *qpEncoder) newline() {
	q.endText()
	q.flush(q.n)
	q.soft = false
}

func (q *qpEncoder) close() bool {
	q.endText()
	q.w.write(q.line[:q.n])
	return q.n > 0
}

// A base64Encoder writes base64 (RFC 2045 section 6.8). If encoded is set, the input is
// base64 already: only its lines are broken anew.
type base64Encoder struct {
	w       *recoder
	encoded bool
	encoder io.WriteCloser // writes base64 to Write; not used if encoded is set
	column  int
}

func (b *base64Encoder) text(p []byte) {
	if !b.encoded {
		b.encoder.Write(p)
		return
	}
	for run := range bytes.FieldsFuncSeq(p, func(c rune) bool { return c >= utf8.RuneSelf || !isPlain(byte(c), "+/=") }) {
		b.Write(run)
	}
}

func (b *base64Encoder) newline() {
	if !b.encoded {
		b.encoder.Write(crlf)
	}
}

func (b *base64Encoder) close() bool {
	if !b.encoded {
		b.encoder.Close()
	}
	return b.column > 0
}

// Write writes base64 in lines of 76 characters.
func (b *base64Encoder) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if b.column == 76 {
			b.w.write(crlf)
			b.column = 0
		}
		n := min(len(rest), 76-b.column)
		b.w.write(rest[:n])
		b.column += n
		rest = rest[n:]
	}
	return len(p), b.w.err
}
