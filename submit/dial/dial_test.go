package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sendoff/config"
	"sendoff/submit/status"
)

func server(t testing.TB, url string) config.Server {
	t.Helper()
	var s config.Server
	if err := s.UnmarshalText([]byte(url)); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSRVPort tests that two schemes are tried if the port of an SRV record does not fit
// the configured scheme, smtps first; and that neither is without TLS unless the
// configured scheme is.
func TestSRVPort(t *testing.T) {
	for _, tt := range []struct {
		server string
		port   uint16
		want   string
	}{
		{"smtps://_submissions._tcp.example.org", 465, "smtps:465"},
		{"smtps://_submissions._tcp.example.org", 2465, "smtps:2465"},
		{"smtps://_submissions._tcp.example.org", 587, "smtps:587 smtp:587"},
		{"smtp://_submission._tcp.example.org", 587, "smtp:587"},
		{"smtp://_submission._tcp.example.org", 465, "smtps:465 smtp:465"},
		{"smtp+plain://_submission._tcp.example.org", 25, "smtp+plain:25"},
		{"smtp+plain://_submission._tcp.example.org", 465, "smtps:465 smtp+plain:465"},
	} {
		d := &Dialer{LookupSRV: func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: "mail.example.org.", Port: tt.port}}, nil
		}}
		targets, err := d.Targets(context.Background(), &config.Account{}, server(t, tt.server))
		var got []string
		for _, t := range targets {
			got = append(got, fmt.Sprintf("%s:%d", t.Server.Scheme, t.Port))
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s, port %d: %s, %v; want %s", tt.server, tt.port, got, err, tt.want)
		}
	}
}

// TestLocalByWord tests that the answer of a name server does not make a server local.
func TestLocalByWord(t *testing.T) {
	for _, tt := range []struct {
		server, address string
		want            bool
	}{
		{"smtp+plain://127.0.0.1", "127.0.0.1:25", true},
		{"smtp+plain://[::1]", "[::1]:25", true},
		{"smtp+plain://localhost", "127.0.0.1:25", true},
		{"smtp+plain://mail.localhost", "[::1]:25", true},
		{"unix:/run/mail.sock", "", true},
		{"smtp+plain://mx.example", "127.0.0.1:25", false},
		{"smtp+plain://_submission._tcp.example.org", "[::1]:25", false},
		{"smtp+plain://localhost", "", false}, // the proxy looks the name up
		{"smtp+plain://192.0.2.1", "192.0.2.1:25", false},
		{"pipe:ssh host sendmail -bs", "", false},
	} {
		h := Hop{Target: Target{Server: server(t, tt.server)}}
		if tt.address != "" {
			h.Address = netip.MustParseAddrPort(tt.address)
		}
		if h.Local() != tt.want {
			t.Errorf("%s at %q: %v", tt.server, tt.address, h.Local())
		}
	}
}

// TestSRVProof tests that an SRV record, which may be forged, does not decide which name
// the certificate must have.
func TestSRVProof(t *testing.T) {
	for _, tt := range []struct{ name, target, prove string }{
		{"_submissions._tcp.example.org", "mail.example.org.", "mail.example.org"},
		{"_submissions._tcp.example.org", "EXAMPLE.org", "example.org"},
		{"_submissions._tcp.example.org", "mail.example.net.", "example.org"},
		{"_submissions._tcp.example.org", "mail.notexample.org.", "example.org"},
		{"_submissions._tcp.example.org", "example.org.evil.example.", "example.org"},
	} {
		d := &Dialer{LookupSRV: func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: tt.target, Port: 465}}, nil
		}}
		targets, err := d.Targets(context.Background(), &config.Account{}, server(t, "smtps://"+tt.name))
		if err != nil || len(targets) != 1 || targets[0].Prove != tt.prove {
			t.Errorf("%s, %s: %+v, %v; want proof of %s", tt.name, tt.target, targets, err, tt.prove)
		}
	}
}

// TestSourceFamily tests that with an IPv4 source address only IPv4 is looked up.
func TestSourceFamily(t *testing.T) {
	for _, tt := range []struct {
		source string
		family config.Family
		want   []bool
	}{
		{"", 0, []bool{true, false}},
		{"", 4, []bool{false}},
		{"", 6, []bool{true}},
		{"192.0.2.9", 0, []bool{false}},
		{"2001:db8::9", 0, []bool{true}},
	} {
		a := &config.Account{AddressFamily: tt.family}
		if tt.source != "" {
			a.SourceAddress.Addr = netip.MustParseAddr(tt.source)
		}
		if got := families(a); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestProxyKeepsSocket tests that a connection through a proxy is still a socket, of
// which the kernel can be asked for replies that came unasked.
func TestProxyKeepsSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 512)
		conn.Read(b)
		conn.Write([]byte{5, 0})
		conn.Read(b)
		conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		conn.Read(b) // returns when we close
	}()
	a := new(config.Account)
	a.Proxy.Address = l.Addr().String()
	conn, err := new(Dialer).Connect(context.Background(), a, Hop{Target: Target{Server: server(t, "smtps://mx.example"), Name: "mx.example", Port: 465}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(syscall.Conn); !ok {
		t.Errorf("the connection is a %T", conn)
	}
}

// A bug that an answer of a name server triggers becomes the error of the look-up, and
// does not end the process.
func TestLookupBug(t *testing.T) {
	d := &Dialer{Lookup: func(context.Context, string, string) ([]netip.Addr, error) { panic("some bug") }}
	if an := d.lookup(t.Context(), "mx.example", false); status.KindOf(an.err) != status.Bug || an.rank != rankLookup {
		t.Errorf("%+v", an)
	}
}

// TestProxyGetsName tests that only the proxy looks up the server's name.
func TestProxyGetsName(t *testing.T) {
	here, there := net.Pipe()
	var asked []byte
	done := make(chan bool)
	go func() {
		defer close(done)
		defer there.Close()
		b := make([]byte, 512)
		there.Read(b)
		there.Write([]byte{5, 0})
		n, _ := there.Read(b)
		asked = b[:n]
		there.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0}) // connection refused
	}()
	a := new(config.Account)
	a.Proxy.Address = "127.0.0.1:1080"
	d := new(Dialer)
	d.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		t.Error("the name was looked up")
		return nil, errors.New("no")
	}
	d.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		if address != "127.0.0.1:1080" {
			t.Errorf("dialled %s", address)
		}
		return here, nil
	}
	hops := d.Hops(t.Context(), a, Target{Server: server(t, "smtp+plain://mx.example:2525"), Name: "mx.example", Port: 2525})
	_, _, err := hops.Connect(t.Context())
	<-done
	if want := "connect to mx.example:2525 by the proxy 127.0.0.1:1080: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if !strings.Contains(string(asked), "mx.example") {
		t.Errorf("asked for %q", asked)
	}
}

type fullStop string

func (f fullStop) Error() string { return string(f) }

// TestUnreachedOnWindows: the full stop of Windows would stand before more words.
func TestUnreachedOnWindows(t *testing.T) {
	refused := fullStop("it was refused.")
	err := unreached(t.Context(), "mx.example:465", &net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", refused)}, connectTime)
	if err.Error() != "connect to mx.example:465: it was refused" || !errors.Is(err, refused) {
		t.Error(err)
	}
}
