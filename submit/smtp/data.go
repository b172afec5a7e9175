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

// A dotWriter writes a message with dot-stuffing (RFC 5321 section 4.5.2). It
// refuses a CR or LF that is not part of CRLF: servers differ in what these
// end, and what follows could become a second message (CVE-2023-51764).
type dotWriter struct {
	w         *bufio.Writer
	lineStart bool
	cr        bool // the last octet was CR
}

func (d *dotWriter) write(p []byte) error {
	for len(p) > 0 {
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line = p[:i+1]
		}
		p = p[len(line):]
		if err := d.line(line); err != nil {
			return err
		}
	}
	return nil
}

// line writes a line, or a part of one; LF stands only at its end.
func (d *dotWriter) line(line []byte) error {
	if d.cr && line[0] != '\n' {
		return errBare
	}
	if d.lineStart && line[0] == '.' {
		d.w.WriteByte('.')
	}
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	text, cr := bytes.CutSuffix(text, []byte("\r"))
	if ended && !cr && !d.cr || bytes.IndexByte(text, '\r') >= 0 {
		return errBare
	}
	d.lineStart, d.cr = ended, cr && !ended
	_, err := d.w.Write(line)
	return err
}

var errBare = status.Bug.Errorf("a bare CR or LF in the message")

// end completes the last line and writes the final dot.
func (d *dotWriter) end(s *Session) error {
	if d.cr {
		return errBare
	}
	if !d.lineStart {
		d.w.WriteString("\r\n")
	}
	return s.writeCommand(".")
}
