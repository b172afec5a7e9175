package status

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A Console is the people who may want to know more than an exit code. A nil Console
// reaches nobody.
type Console struct {
	// Person shows text to a person at a terminal, with the hint for fault, which is
	// nil if nothing is to blame; nil: no person is there.
	Person   func(text string, fault error)
	Caller   func(text string) // shows text to whoever called; nil: that is nobody
	Done     func(text string) // shows a person what came of what they typed; nil: nobody typed it
	Terminal io.Writer         // shows how far a long message is; nil: nothing does

	told sync.Map // the texts of TellOnce
}

// Tell tells a person text, and what is to blame for it, if anything.
func (c *Console) Tell(text string, fault error) {
	if c != nil && c.Person != nil {
		c.Person(text, fault)
	}
}

// Confirm tells a person who typed a message that all went well: text says what was
// done.
func (c *Console) Confirm(text string) {
	if c != nil && c.Done != nil {
		c.Done(text)
	}
}

// TellOnce tells a person text, unless that was done before.
func (c *Console) TellOnce(text string) {
	if c == nil {
		return
	}
	if _, again := c.told.LoadOrStore(text, true); !again {
		c.Tell(text, nil)
	}
}

// TellAfter tells a person text after d, unless stop is called before.
func (c *Console) TellAfter(d time.Duration, text string) (stop func()) {
	if c == nil || c.Person == nil {
		return func() {}
	}
	late := time.AfterFunc(d, func() { c.Tell(text, nil) })
	return func() { late.Stop() }
}

// Warn tells whoever called what they have to know.
func (c *Console) Warn(text string) {
	if c != nil && c.Caller != nil {
		c.Caller(text)
	}
}

// WithoutPerson returns a Console that warns whoever called as c does, and tells no
// person.
func (c *Console) WithoutPerson() *Console {
	if c == nil {
		return nil
	}
	return &Console{Caller: c.Caller}
}

// Progress returns message, which has size octets, as a reader that shows on the
// terminal how far it has been read. clear takes the line from the terminal.
func (c *Console) Progress(message io.Reader, size int64) (_ io.Reader, clear func()) {
	if c == nil || c.Terminal == nil {
		return message, func() {}
	}
	p := &progress{terminal: c.Terminal, message: message, size: size}
	return p, p.clear
}

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

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.latest.IsZero() {
		io.WriteString(p.terminal, "\r\x1b[K")
		p.latest = time.Time{}
	}
}

func megabytes(octets float64) float64 { return octets / 1e6 }
