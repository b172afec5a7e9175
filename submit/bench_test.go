//go:build unix

package submit

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A counted connection counts how often its reader had to wait for the other
// side after it had written: the round trips.
type counted struct {
	net.Conn
	wrote *atomic.Bool
	trips *atomic.Int64
	delay time.Duration
}

func (c counted) Write(p []byte) (int, error) {
	c.wrote.Store(true)
	return c.Conn.Write(p)
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.wrote.Swap(false) {
		c.trips.Add(1)
		time.Sleep(c.delay)
	}
	return n, err
}

// BenchmarkSubmission submits a small message over TLS 1.3 with AUTH PLAIN to a
// smarthost on loopback. trips/op is the round trips, the TCP connection, TLS
// and the greeting included; cpu-ms/op is the process's, server included.
func BenchmarkSubmission(b *testing.B) {
	for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
		b.Run("rtt="+delay.String(), func(b *testing.B) { benchmark(b, delay) })
	}
}

func benchmark(b *testing.B, delay time.Duration) {
	h := newSmarthost(b)
	s, a := h.submitter(b, "swordfish")
	trips := new(atomic.Int64)
	s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		trips.Add(1)
		time.Sleep(delay)
		return counted{conn, new(atomic.Bool), trips, delay}, err
	}
	text := "From: ann@example.org\nTo: bob@example.net\nSubject: hello\n\nIt works.\n"
	before := cpuTime()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Submit(context.Background(), request(b, a, nil, text, "bob@example.net")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(trips.Load())/float64(b.N), "trips/op")
	b.ReportMetric((cpuTime()-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLargeMessage submits 10 MB over TLS.
func BenchmarkLargeMessage(b *testing.B) {
	h := newSmarthost(b)
	s, a := h.submitter(b, "swordfish")
	text := "Subject: large\n\n" + strings.Repeat("all work and no play makes mail a dull play\n", 10<<20/44)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := s.Submit(context.Background(), request(b, a, nil, text, "bob@example.net")); err != nil {
			b.Fatal(err)
		}
	}
}
