package submit

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/smtp/smtptest"
)

// A network is a world of name servers and hosts with time of their own. What
// happens in it is noted as "350ms dial 192.0.2.1:25".
type network struct {
	began time.Time
	mu    sync.Mutex
	notes []string
	names map[string]zone // ip4:HOST, ip6:HOST
	hosts map[string]peer // ADDRESS:PORT
	srv   []*net.SRV
	open  int // connections that our side has not closed
}

// A zone is what name servers say, and when.
type zone struct {
	after time.Duration
	found []string
	err   error
}

type peer struct {
	after time.Duration
	err   error  // of the connection
	mute  bool   // it says nothing
	says  string // instead of a good session
}

const goodSession = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 PIPELINING\n" +
	"C: MAIL FROM:<ann@example.org>\nC: RCPT TO:<bob@example.net>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n" +
	"C+ any\nC: .\nC: QUIT\nS: 250 ok\n"

func (n *network) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, time.Since(n.began).Round(time.Millisecond).String()+" "+fmt.Sprintf(format, args...))
}

func (n *network) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r := n.names[network+":"+host]
	select {
	case <-time.After(r.after):
	case <-ctx.Done():
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
	}
	var found []netip.Addr
	for _, a := range r.found {
		found = append(found, netip.MustParseAddr(a))
	}
	if found == nil && r.err == nil {
		r.err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, r.err
}

// A counting connection is one that its network counts.
type counting struct {
	net.Conn
	n    *network
	done bool
}

func (c *counting) Close() error {
	c.n.mu.Lock()
	if !c.done {
		c.done = true
		c.n.open--
	}
	c.n.mu.Unlock()
	return c.Conn.Close()
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.note("dial %s", address)
	h, ok := n.hosts[address]
	if !ok {
		h = peer{after: time.Hour}
	}
	select {
	case <-time.After(h.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h.err != nil {
		return nil, &net.OpError{Op: "dial", Err: h.err}
	}
	n.note("reach %s", address)
	here, there := net.Pipe()
	n.mu.Lock()
	n.open++
	n.mu.Unlock()
	go func() {
		if h.mute {
			io.Copy(io.Discard, there)
			there.Close()
			return
		}
		script := goodSession
		if h.says != "" {
			script = h.says
		}
		tr, err := smtptest.Parse(address, script)
		if err != nil {
			panic(err)
		}
		if err := tr.Serve(there); err != nil {
			n.note("%v", err)
		}
	}()
	return &counting{Conn: here, n: n}, nil
}

const (
	six1, six2   = "2001:db8::1", "2001:db8::2"
	four1, four2 = "192.0.2.1", "192.0.2.2"
)

func at(address string) string { return netip.AddrPortFrom(netip.MustParseAddr(address), 25).String() }

// submit sends a mail through servers of the network.
func (n *network) submit(t *testing.T, servers ...string) error {
	a := work(t, "ann@example.org")
	a.User = ""
	for _, url := range servers {
		a.Servers = append(a.Servers, server(t, url))
	}
	return n.submitter().Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
}

func (n *network) submitter() *Submitter {
	s := &Submitter{Config: &config.Config{Hostname: "client.example"}, Lookup: n.lookup, Dial: n.dial}
	s.LookupSRV = func(_ context.Context, name string) ([]*net.SRV, error) {
		n.note("SRV %s", name)
		if n.srv == nil {
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		return n.srv, nil
	}
	return s
}
