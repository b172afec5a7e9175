//go:build !race

// Go 1.26's race detector crashes now and then when timers end within a
// synctest bubble, as they do here; TestServersInOrder and its like run with it.

package submit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/status"
)

// TestHappyEyeballs holds the order in which addresses are tried, and when,
// against RFC 8305.
func TestHappyEyeballs(t *testing.T) {
	both := map[string]zone{"ip6:mx.example": {found: []string{six1, six2}}, "ip4:mx.example": {found: []string{four1, four2}}}
	const ms = time.Millisecond
	tests := []struct {
		name  string
		names map[string]zone
		hosts map[string]peer
		notes []string
		err   string
	}{
		{"IPv6 first", both, map[string]peer{at(six1): {after: 10 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "10ms reach [2001:db8::1]:25"}, ""},
		{"IPv6 is a black hole", both, map[string]peer{at(four1): {after: 10 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "260ms reach 192.0.2.1:25"}, ""},
		{"refused: the next one at once", both, map[string]peer{at(six1): {after: 10 * ms, err: syscall.ECONNREFUSED}, at(four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "10ms dial 192.0.2.1:25", "10ms reach 192.0.2.1:25"}, ""},
		{"the slower one wins", both, map[string]peer{at(six1): {after: 300 * ms}, at(four1): {after: 100 * ms}},
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "300ms reach [2001:db8::1]:25"}, ""},
		{"late AAAA", map[string]zone{"ip6:mx.example": {after: time.Minute, found: []string{six1}}, "ip4:mx.example": {after: 5 * ms, found: []string{four1}}},
			map[string]peer{at(four1): {}},
			[]string{"55ms dial 192.0.2.1:25", "55ms reach 192.0.2.1:25"}, ""},
		{"AAAA in time", map[string]zone{"ip6:mx.example": {after: 40 * ms, found: []string{six1}}, "ip4:mx.example": {found: []string{four1}}},
			map[string]peer{at(six1): {}},
			[]string{"40ms dial [2001:db8::1]:25", "40ms reach [2001:db8::1]:25"}, ""},
		{"late A, and IPv6 refuses", map[string]zone{"ip6:mx.example": {found: []string{six1}}, "ip4:mx.example": {after: 3 * time.Second, found: []string{four1}}},
			map[string]peer{at(six1): {err: syscall.ECONNREFUSED}, at(four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "3s dial 192.0.2.1:25", "3s reach 192.0.2.1:25"}, ""},
		{"only A", map[string]zone{"ip4:mx.example": {after: ms, found: []string{four1}}}, map[string]peer{at(four1): {}},
			[]string{"1ms dial 192.0.2.1:25", "1ms reach 192.0.2.1:25"}, ""},
		{"the winner is mute, the others get their share", both, map[string]peer{at(six1): {after: ms, mute: true}, at(four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "1ms reach [2001:db8::1]:25", "15.001s dial 192.0.2.1:25", "15.001s reach 192.0.2.1:25"}, ""},
		{"the winner has no time", both, map[string]peer{at(six1): {says: "S: 421 busy\n"}, at(four1): {}},
			[]string{"0s dial [2001:db8::1]:25", "0s reach [2001:db8::1]:25", "1ms dial 192.0.2.1:25", "1ms reach 192.0.2.1:25"}, ""},
		{"nobody is there", both, map[string]peer{at(six1): {err: syscall.ENETUNREACH}, at(six2): {err: syscall.ENETUNREACH}, at(four1): {err: syscall.ECONNREFUSED}, at(four2): {err: syscall.EHOSTUNREACH}},
			[]string{"0s dial [2001:db8::1]:25", "0s dial 192.0.2.1:25", "0s dial [2001:db8::2]:25", "0s dial 192.0.2.2:25"},
			"connect to mx.example:25 at 192.0.2.1: connection refused"},
		{"no network at all", both, map[string]peer{at(six1): {err: syscall.ENETUNREACH}, at(six2): {err: syscall.ENETUNREACH}, at(four1): {err: syscall.ENETUNREACH}, at(four2): {err: syscall.ENETUNREACH}},
			[]string{"0s dial [2001:db8::1]:25", "0s dial 192.0.2.1:25", "0s dial [2001:db8::2]:25", "0s dial 192.0.2.2:25"},
			"connect to mx.example:25 at 2001:db8::1: network is unreachable"},
		{"no such host", nil, nil, nil, "look up mx.example: no such host"},
		{"one family does not exist, the other does not answer", map[string]zone{"ip4:mx.example": {after: time.Hour}}, nil, nil,
			"look up mx.example: the name server does not answer"},
		{"black holes only", both, nil,
			[]string{"0s dial [2001:db8::1]:25", "250ms dial 192.0.2.1:25", "500ms dial [2001:db8::2]:25", "750ms dial 192.0.2.2:25"},
			"connect to mx.example:25 at 2001:db8::1: no answer within 30s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{began: time.Now(), names: tt.names, hosts: tt.hosts}
				err := n.submit(t, "smtp+plain://mx.example")
				if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if err != nil && !status.Of(err).Temporary() {
					t.Errorf("%v is permanent", err)
				}
				if !slices.Equal(n.notes, tt.notes) {
					t.Errorf("got %q, want %q", n.notes, tt.notes)
				}
				if n.open != 0 {
					t.Errorf("%d connections are left open", n.open)
				}
			})
		})
	}
}

// TestLookupStalls: name servers that do not answer take no more time than the
// server's share.
func TestLookupStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{began: time.Now(), hosts: map[string]peer{at(four1): {}},
			names: map[string]zone{"ip4:mx.example": {after: time.Hour}, "ip6:mx.example": {after: time.Hour}, "ip4:other.example": {found: []string{four1}}}}
		if err := n.submit(t, "smtp+plain://mx.example", "smtp+plain://other.example"); err != nil {
			t.Error(err)
		}
		if want := []string{"30s dial 192.0.2.1:25", "30s reach 192.0.2.1:25"}; !slices.Equal(n.notes, want) {
			t.Errorf("got %q", n.notes)
		}
	})
}

func TestSRV(t *testing.T) {
	names := map[string]zone{"ip4:a.example.org": {found: []string{four1}}, "ip4:b.example.net": {found: []string{four2}}}
	tests := []struct {
		name    string
		records []*net.SRV
		hosts   map[string]peer
		notes   []string
		err     string
	}{
		{"the second takes over", []*net.SRV{{Target: "a.example.org.", Port: 25}, {Target: "b.example.net.", Port: 26}},
			map[string]peer{at(four1): {err: syscall.ECONNREFUSED}, four2 + ":26": {}},
			[]string{"0s SRV _submission._tcp.example.org", "0s dial 192.0.2.1:25", "0s dial 192.0.2.2:26", "0s reach 192.0.2.2:26"}, ""},
		{"not offered", []*net.SRV{{Target: ".", Port: 0}}, nil, []string{"0s SRV _submission._tcp.example.org"},
			"look up _submission._tcp.example.org: the domain does not offer this service"},
		{"no records", nil, nil, []string{"0s SRV _submission._tcp.example.org"}, "look up _submission._tcp.example.org: no such host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{began: time.Now(), names: names, hosts: tt.hosts, srv: tt.records}
				err := n.submit(t, "smtp+plain://_submission._tcp.example.org")
				if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if !slices.Equal(n.notes, tt.notes) {
					t.Errorf("got %q, want %q", n.notes, tt.notes)
				}
			})
		})
	}
}

// TestSRVPort: where a record's port hardly goes with the service, both ways to
// speak are tried, TLS from the start first; neither is without TLS, unless the
// account is.
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
		s := &Submitter{LookupSRV: func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: "mail.example.org.", Port: tt.port}}, nil
		}}
		targets, err := s.targets(context.Background(), &config.Account{}, server(t, tt.server))
		var got []string
		for _, t := range targets {
			got = append(got, fmt.Sprintf("%s:%d", t.server.Scheme, t.port))
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s, port %d: %s, %v; want %s", tt.server, tt.port, got, err, tt.want)
		}
	}
}

// TestLocalhost: no name server is asked for localhost, nor for what is below it.
func TestLocalhost(t *testing.T) {
	for _, name := range []string{"localhost", "mail.localhost"} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{began: time.Now(), hosts: map[string]peer{at("::1"): {err: syscall.ECONNREFUSED}, at("127.0.0.1"): {}},
				names: map[string]zone{"ip4:" + name: {found: []string{four1}}}}
			if err := n.submit(t, "smtp+plain://"+name); err != nil {
				t.Error(err)
			}
			if want := []string{"0s dial [::1]:25", "0s dial 127.0.0.1:25", "0s reach 127.0.0.1:25"}; !slices.Equal(n.notes, want) {
				t.Errorf("got %q", n.notes)
			}
		})
	}
}

// TestLocalByWord: what a name server says makes no way one that nobody reads.
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
		{"smtp+plain://localhost", "", false}, // a proxy's
		{"smtp+plain://192.0.2.1", "192.0.2.1:25", false},
		{"pipe:ssh host sendmail -bs", "", false},
	} {
		h := hop{target: target{server: server(t, tt.server)}}
		if tt.address != "" {
			h.address = netip.MustParseAddrPort(tt.address)
		}
		if h.local() != tt.want {
			t.Errorf("%s at %q: %v", tt.server, tt.address, h.local())
		}
	}
}

// TestSRVProof: an answer that anybody may have forged does not decide whom to
// trust.
func TestSRVProof(t *testing.T) {
	for _, tt := range []struct{ name, target, prove string }{
		{"_submissions._tcp.example.org", "mail.example.org.", "mail.example.org"},
		{"_submissions._tcp.example.org", "EXAMPLE.org", "example.org"},
		{"_submissions._tcp.example.org", "mail.example.net.", "example.org"},
		{"_submissions._tcp.example.org", "mail.notexample.org.", "example.org"},
		{"_submissions._tcp.example.org", "example.org.evil.example.", "example.org"},
	} {
		s := &Submitter{LookupSRV: func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: tt.target, Port: 465}}, nil
		}}
		targets, err := s.targets(context.Background(), &config.Account{}, server(t, "smtps://"+tt.name))
		if err != nil || len(targets) != 1 || targets[0].prove != tt.prove {
			t.Errorf("%s, %s: %+v, %v; want proof of %s", tt.name, tt.target, targets, err, tt.prove)
		}
	}
}

// TestSourceFamily: who connects from an IPv4 address needs no others.
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

// TestProxyGetsName: a proxy is asked for the name, and nobody else is.
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
	a := work(t, "ann@example.org")
	a.User = ""
	a.Servers = []config.Server{server(t, "smtp+plain://mx.example:2525")}
	a.Proxy.Address = "127.0.0.1:1080"
	s := &Submitter{Config: &config.Config{}}
	s.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		t.Error("the name was looked up")
		return nil, errors.New("no")
	}
	s.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		if address != "127.0.0.1:1080" {
			t.Errorf("dialled %s", address)
		}
		return here, nil
	}
	err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
	<-done
	if want := "connect to mx.example:2525 by the proxy 127.0.0.1:1080: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if !strings.Contains(string(asked), "mx.example") {
		t.Errorf("asked for %q", asked)
	}
}

// TestProxyForTokens: the provider of access tokens is asked through the account's
// proxy, and by no other way.
func TestProxyForTokens(t *testing.T) {
	a := work(t, "ann@example.org")
	a.Secret, a.RefreshToken = config.List[string]{"oauth2:test"}, "file:/nowhere"
	a.Proxy.Address = "127.0.0.1:1080"
	test := &config.OAuth2{Name: "test", ClientID: "c", TokenURL: config.Endpoint{URL: "https://provider.example/t"}}
	s := &Submitter{Config: &config.Config{Providers: []*config.OAuth2{test}}}
	asked := make(chan string, 2)
	s.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		here, there := net.Pipe()
		asked <- address
		go func() {
			defer there.Close()
			b := make([]byte, 512)
			there.Read(b)
			there.Write([]byte{5, 0})
			n, _ := there.Read(b)
			asked <- string(b[5:max(5, n-2)])
		}()
		return here, nil
	}
	_, item, err := s.Credentials(a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = item.OAuth2.Dial(t.Context(), "tcp", "provider.example:443")
	if proxy, name := <-asked, <-asked; proxy != "127.0.0.1:1080" || name != "provider.example" || err == nil {
		t.Errorf("asked %s for %s: %v", proxy, name, err)
	}
	a.Proxy.Address = ""
	if _, item, err = s.Credentials(a); err != nil || item.OAuth2.Dial != nil {
		t.Errorf("without a proxy: %v", err)
	}
}

// TestProxyKeepsSocket: what a proxy leads to is still a socket, or replies that
// nobody asked for would go unseen.
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
		conn.Read(b) // until we close
	}()
	a := work(t)
	a.Proxy.Address = l.Addr().String()
	s := &Submitter{}
	conn, err := s.connect(context.Background(), a, hop{target: target{server: server(t, "smtps://mx.example"), name: "mx.example", port: 465}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(syscall.Conn); !ok {
		t.Errorf("the connection is a %T", conn)
	}
}

// A bug that a name server's answer finds is an answer, and ends no other mail's
// process.
func TestLookupBug(t *testing.T) {
	s := &Submitter{Lookup: func(context.Context, string, string) ([]netip.Addr, error) { panic("some bug") }}
	if an := s.lookup(t.Context(), "mx.example", false); status.KindOf(an.err) != status.Bug || an.rank != rankLookup {
		t.Errorf("%+v", an)
	}
}
