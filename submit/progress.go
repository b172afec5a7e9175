package submit

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Times of a progress line: nobody needs one for what takes a moment, and
// nobody reads faster.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// A progress shows on a terminal how far a message is on its way.
//
//	12.5 of 100.0 MB, 3.1 MB/s, 28 s left
type progress struct {
	terminal io.Writer
	message  io.Reader
	size     int64

	mu            sync.Mutex // a refusal may come, and clear the line, while the message is read
	sent          int64
	start, latest time.Time // latest is zero until there is a line
}

// Read reads the message, and now and then writes the line.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.message.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += int64(n)
	now := time.Now()
	if p.start.IsZero() {
		p.start = now
	}
	if took := now.Sub(p.start); took >= progressAfter && now.Sub(p.latest) >= progressEvery && p.sent < p.size {
		p.latest = now
		rate := float64(p.sent) / took.Seconds()
		left := time.Duration(float64(p.size-p.sent) / rate * float64(time.Second))
		fmt.Fprintf(p.terminal, "\r%.1f of %.1f MB, %.1f MB/s, %s left\x1b[K",
			megabytes(float64(p.sent)), megabytes(float64(p.size)), megabytes(rate), left.Round(time.Second))
	}
	return n, err
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.latest.IsZero() {
		io.WriteString(p.terminal, "\r\x1b[K")
		p.latest = time.Time{}
	}
}

func megabytes(octets float64) float64 { return octets / 1e6 }
