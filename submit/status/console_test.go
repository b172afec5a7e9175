package status

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow gives a megabyte every half second.
type slow struct{ left int }

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(time.Second / 2)
	return len(p), nil
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal strings.Builder
		p := &progress{terminal: &terminal, message: &slow{10}, size: 10e6}
		b := make([]byte, 1e6)
		var lines []string
		for {
			_, err := p.Read(b)
			if line := terminal.String(); line != "" {
				lines = append(lines, line)
			}
			terminal.Reset()
			if err == io.EOF {
				break
			}
		}
		// The first read starts the clock: then it is a second to the line.
		if len(lines) != 7 || lines[0] != "\r3.0 of 10.0 MB, 3.0 MB/s, 2s left\x1b[K" {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
		p.clear()
		if terminal.String() != "\r\x1b[K" {
			t.Errorf("not gone: %q", terminal.String())
		}
	})
}

func TestNoProgressForAMoment(t *testing.T) {
	var terminal strings.Builder
	p := &progress{terminal: &terminal, message: strings.NewReader(strings.Repeat("x", 1e6)), size: 1e6}
	io.Copy(io.Discard, p)
	p.clear()
	if terminal.String() != "" {
		t.Errorf("%q", terminal.String())
	}
}
