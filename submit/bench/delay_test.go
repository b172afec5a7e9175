//go:build bench && linux

package bench

import (
	"io"
	"net"
	"sync"
	"time"
)

// A delayed connection is the server's end of one over a long line: every octet
// arrives half of rtt after it was sent, in each direction, however many are on
// the way. Connecting over loopback takes no time, so the line opens one rtt
// late: what the client sends before counts as sent then, and the server knows
// of the connection half of rtt later.
type delayed struct {
	net.Conn
	rtt    time.Duration
	opened time.Time
	in     chan chunk
	out    chan chunk
	rest   []byte // of the chunk that is read
	once   sync.Once
	gone   chan struct{}
}

type chunk struct {
	due  time.Time
	data []byte
	err  error
}

func delay(conn net.Conn, rtt time.Duration) net.Conn {
	if rtt == 0 {
		return conn
	}
	d := &delayed{Conn: conn, rtt: rtt, opened: time.Now().Add(rtt), in: make(chan chunk, 1<<12), out: make(chan chunk, 1<<12), gone: make(chan struct{})}
	go d.receive()
	go d.send()
	return d
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (d *delayed) receive() {
	for {
		b := make([]byte, 32<<10)
		n, err := d.Conn.Read(b)
		d.in <- chunk{latest(time.Now(), d.opened).Add(d.rtt / 2), b[:n], err}
		if err != nil {
			return
		}
	}
}

func (d *delayed) send() {
	defer close(d.gone)
	for c := range d.out {
		time.Sleep(time.Until(c.due))
		if _, err := d.Conn.Write(c.data); err != nil {
			for range d.out {
			}
			return
		}
	}
}

// Read implements net.Conn.
func (d *delayed) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		c, ok := <-d.in
		if !ok {
			return 0, io.EOF
		}
		time.Sleep(time.Until(c.due))
		if c.err != nil {
			close(d.in)
			return 0, c.err
		}
		d.rest = c.data
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (d *delayed) Write(p []byte) (int, error) {
	due := latest(time.Now(), d.opened.Add(d.rtt/2)).Add(d.rtt / 2)
	d.out <- chunk{due: due, data: append([]byte(nil), p...)}
	return len(p), nil
}

// SetWriteDeadline implements net.Conn: crypto/tls ends all writing when it
// closes, but here the line still has to write.
func (d *delayed) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn; what was written arrives all the same.
func (d *delayed) Close() error {
	d.once.Do(func() { close(d.out) })
	<-d.gone
	return d.Conn.Close()
}
