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

func (c *contentWriter) write(p []byte) error {
	for len(p) > 0 {
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line = p[:i+1]
		}
		p = p[len(line):]
		if err := c.line(line); err != nil {
			return err
		}
	}
	return nil
}

// line writes a line, or a part of one; LF stands only at its end.
func (c *contentWriter) line(line []byte) error {
	if c.cr && line[0] != '\n' {
		return errBare
	}
	if c.stuffing && c.lineStart && line[0] == '.' {
		c.w.WriteByte('.')
	}
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	text, cr := bytes.CutSuffix(text, []byte("\r"))
	if ended && !cr && !c.cr || bytes.IndexByte(text, '\r') >= 0 {
		return errBare
	}
	c.lineStart, c.cr = ended, cr && !ended
	_, err := c.w.Write(line)
	return err
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
