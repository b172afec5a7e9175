package smtp

import (
	"bufio"
	"bytes"
	"errors"

	"sendoff/submit/status"
)

// errBody says that the message could not be read while it was sent. The connection ends
// without a final dot, so the server accepts no message.
var errBody = errors.New("the message could not be read again")

// A contentWriter writes a message: for DATA with dot-stuffing (RFC 5321 section 4.5.2),
// for BDAT without. It refuses a CR or LF that is not part of CRLF: some servers end a
// line or the message there, and the text after it could become a second message
// (CVE-2023-51764). It refuses them with BDAT, too, because the next server may get the
// message by DATA.
type contentWriter struct {
	w         *bufio.Writer
	stuffing  bool // for DATA
	lineStart bool // the next octet begins a line
	cr        bool // the last octet was CR
}

// write writes a piece of the message. Lines without a dot at their start go together in
// one Write.
func (c *contentWriter) write(p []byte) error {
	from := 0 // start of the part of p that is not written yet
	for at := 0; at < len(p); {
		if c.lineStart && c.stuffing && p[at] == '.' {
			c.w.Write(p[from:at])
			c.w.WriteByte('.')
			from = at
		}
		line := p[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if err := c.check(line); err != nil {
			return err
		}
		at += len(line)
	}
	_, err := c.w.Write(p[from:])
	return err
}

// check refuses a bare CR or LF in line, and sets lineStart and cr. line is a line or a
// part of one, so that only its last octet can be LF.
func (c *contentWriter) check(line []byte) error {
	n := len(line)
	if c.cr && line[0] != '\n' {
		return errBare
	}
	ended := line[n-1] == '\n'
	if ended {
		if n--; n == 0 && !c.cr {
			return errBare
		}
	}
	cr := n > 0 && line[n-1] == '\r'
	if cr {
		n--
	} else if ended && n > 0 {
		return errBare
	}
	if bytes.IndexByte(line[:n], '\r') >= 0 {
		return errBare
	}
	c.lineStart, c.cr = ended, cr && !ended
	return nil
}

var errBare = status.Bug.Errorf("a bare CR or LF in the message")

// end ends the message. With DATA it completes the last line, and writes the final dot.
func (c *contentWriter) end(s *Session) error {
	switch {
	case c.cr:
		return errBare
	case !c.stuffing:
		return nil
	case !c.lineStart:
		c.w.WriteString("\r\n")
	}
	return s.writeCommand(".")
}
