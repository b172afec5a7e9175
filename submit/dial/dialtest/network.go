// Package dialtest gives tests a world of name servers and hosts.
package dialtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"sendoff/submit/smtp/smtptest"
)

// A Network is a world of name servers and hosts with time of their own. What
// happens in it is noted as "350ms dial 192.0.2.1:25".
type Network struct {
	sync.Mutex
	Began   time.Time
	Notes   []string
	Names   map[string]Zone // ip4:HOST, ip6:HOST
	Hosts   map[string]Peer // ADDRESS:PORT
	SRV     []*net.SRV
	Open    int    // connections that our side has not closed
	Session string // the dialogue of a Peer that Says nothing else; "": the peer waits for the end
}

// A Zone is what name servers say, and when.
type Zone struct {
	After time.Duration
	Found []string
	Err   error
}

// A Peer is what answers at an address.
type Peer struct {
	After time.Duration
	Err   error  // of the connection
	Mute  bool   // it says nothing
	Says  string // instead of a good session
}

// Session is the dialogue of a mail from ann@example.org to bob@example.net.
const Session = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 PIPELINING\n" +
	"C: MAIL FROM:<ann@example.org>\nC: RCPT TO:<bob@example.net>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n" +
	"C+ any\nC: .\nC: QUIT\nS: 250 ok\n"

// Note notes what happens now.
func (n *Network) Note(format string, args ...any) {
	n.Lock()
	defer n.Unlock()
	n.Notes = append(n.Notes, time.Since(n.Began).Round(time.Millisecond).String()+" "+fmt.Sprintf(format, args...))
}

// Lookup is dial.Dialer.Lookup.
func (n *Network) Lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r := n.Names[network+":"+host]
	select {
	case <-time.After(r.After):
	case <-ctx.Done():
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
	}
	var found []netip.Addr
	for _, a := range r.Found {
		found = append(found, netip.MustParseAddr(a))
	}
	if found == nil && r.Err == nil {
		r.Err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, r.Err
}

// A counting connection is one that its network counts.
type counting struct {
	net.Conn
	n    *Network
	done bool
}

func (c *counting) Close() error {
	c.n.Lock()
	if !c.done {
		c.done = true
		c.n.Open--
	}
	c.n.Unlock()
	return c.Conn.Close()
}

// Dial is dial.Dialer.Dial.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.Note("dial %s", address)
	h, ok := n.Hosts[address]
	if !ok {
		h = Peer{After: time.Hour}
	}
	select {
	case <-time.After(h.After):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h.Err != nil {
		return nil, &net.OpError{Op: "dial", Err: h.Err}
	}
	n.Note("reach %s", address)
	here, there := net.Pipe()
	n.Lock()
	n.Open++
	n.Unlock()
	go func() {
		if h.Mute || n.Session+h.Says == "" {
			io.Copy(io.Discard, there)
			there.Close()
			return
		}
		script := n.Session
		if h.Says != "" {
			script = h.Says
		}
		tr, err := smtptest.Parse(address, script)
		if err != nil {
			panic(err)
		}
		if err := tr.Serve(there); err != nil {
			n.Note("%v", err)
		}
	}()
	return &counting{Conn: here, n: n}, nil
}

// LookupSRV is dial.Dialer.LookupSRV.
func (n *Network) LookupSRV(_ context.Context, name string) ([]*net.SRV, error) {
	n.Note("SRV %s", name)
	if n.SRV == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return n.SRV, nil
}

// Addresses, two of each family.
const (
	Six1, Six2   = "2001:db8::1", "2001:db8::2"
	Four1, Four2 = "192.0.2.1", "192.0.2.2"
)

// At returns port 25 of an address.
func At(address string) string { return netip.AddrPortFrom(netip.MustParseAddr(address), 25).String() }
