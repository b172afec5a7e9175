package smtp

import (
	"bufio"
	"bytes"
	"errors"

	"sendoff/submit/status"
)

// errBody is a failure to read the message while it is sent. The connection is
// given up without a final dot, so the server takes nothing.
var errBody = errors.New("the message could not be read again")

// A contentWriter writes a message, for DATA with dot-stuffing (RFC 5321
// section 4.5.2). It refuses a CR or LF that is not part of CRLF: servers
// differ in what these end, and what follows could become a second message
// (CVE-2023-51764). The same holds for BDAT, since the next server may be sent
// it by DATA.
type contentWriter struct {
	w         *bufio.Writer
	stuffing  bool
	lineStart bool
	cr        bool // the last octet was CR
}

// write writes a piece of the message. What needs no dot goes in one Write,
// however many lines it has.
func (c *contentWriter) write(p []byte) error {
	from := 0 // of what is not written yet
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

// check takes note of a line, or of a part of one; LF stands only at its end.
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

// end ends the message: if by a final dot, it completes the last line.
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
