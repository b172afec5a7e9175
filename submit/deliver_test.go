package submit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// TestReport holds mixed outcomes against design 2.1: what is temporary
// decides, so that the caller tries again; else the first refusal.
func TestReport(t *testing.T) {
	later := status.Deferred.Errorf("RCPT TO:<b@example.org>: 450 later")
	never := status.NoUser.Errorf("RCPT TO:<c@example.org>: 550 no such user")
	policy := status.NotAllowed.Errorf("end of message: 554 5.7.1 spam")
	const a, b, c = 0, 1, 2
	to := func(r ...int) []int { return r }
	lost := status.Lost.Errorf("end of message: EOF")
	tests := []struct {
		name    string
		results []smtp.Result
		exit    int
		lines   []string
	}{
		{"all taken", []smtp.Result{{To: to(a, b, c)}}, 0, nil},
		{"one later, one never", []smtp.Result{{To: to(b), Err: later}, {To: to(c), Err: never}, {To: to(a)}}, 75, []string{
			"RCPT TO:<b@example.org>: 450 later",
			"RCPT TO:<c@example.org>: 550 no such user",
			"already sent to <a@example.org>; do not send it to them again"}},
		{"one never", []smtp.Result{{To: to(c), Err: never}, {To: to(a, b)}}, 67, []string{
			"RCPT TO:<c@example.org>: 550 no such user",
			"already sent to <a@example.org>, <b@example.org>; do not send it to them again"}},
		{"refused after the dot", []smtp.Result{{To: to(c), Err: never}, {To: to(a, b), Err: policy}}, 67, []string{
			"RCPT TO:<c@example.org>: 550 no such user",
			"end of message: 554 5.7.1 spam; not sent to <a@example.org>, <b@example.org>"}},
		{"all for one reason", []smtp.Result{{To: to(a, b, c), Err: policy}}, 77, []string{"end of message: 554 5.7.1 spam"}},
		{"unknown", []smtp.Result{{To: to(a, b, c), Err: lost, Unknown: true}}, 75, []string{
			"end of message: EOF; it may have been delivered to <a@example.org>, <b@example.org>, <c@example.org>"}},
		{"unknown in several transactions", []smtp.Result{{To: to(a), Err: lost, Unknown: true}, {To: to(b), Err: lost, Unknown: true}, {To: to(c), Err: lost}}, 75, []string{
			"end of message: EOF; it may have been delivered to <a@example.org>, <b@example.org>",
			"end of message: EOF; not sent to <c@example.org>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := work(t)
			s := aliased(t, "", a)
			j, err := s.Resume(request(t, a, nil, "\n", "a@example.org", "b@example.org", "c@example.org"))
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range tt.results {
				j.add(envelope.Address{}, result)
			}
			err = s.Keep(j)
			if status.Exit(err) != tt.exit {
				t.Errorf("exit %d, want %d: %v", status.Exit(err), tt.exit, err)
			}
			if err == nil {
				return
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, tt.lines) {
				t.Errorf("got %q, want %q", got, tt.lines)
			}
		})
	}
}

// TestOwnSenderRefused puts the refusal of the account's own sender on the
// account, and that of any other on the message.
func TestOwnSenderRefused(t *testing.T) {
	refusal := func(k status.Kind, text string) error {
		var r smtp.Reply
		fmt.Sscan(text, &r.Code)
		c, rest, _ := status.ParseCode(text[4:])
		r.Status, r.Lines = c, []string{rest}
		return k.With(c, &smtp.Refusal{Command: "MAIL FROM:<ann@example.org>", Reply: r, Host: "mx"})
	}
	tests := []struct {
		from string
		err  error
		kind status.Kind
	}{
		{"ann@example.org", refusal(status.NotAllowed, "550 5.1.8 bad sender"), status.Config},
		{"ann@example.org", refusal(status.NotAllowed, "550 5.1.7 bad sender"), status.Config},
		{"ann@example.org", refusal(status.NotAllowed, "553 5.7.1 <ann@example.org> is not yours"), status.Config},
		{"ann@example.org", refusal(status.NotAllowed, "554 5.7.1 spam"), status.NotAllowed},
		{"ann@example.org", refusal(status.NoUser, "550 5.1.1 no such user"), status.NoUser},
		{"bob@example.net", refusal(status.NotAllowed, "550 5.1.8 bad sender"), status.NotAllowed},
		{"bob@example.net", refusal(status.NotAllowed, "553 5.7.1 <bob@example.net> is not yours"), status.NotAllowed},
	}
	for _, tt := range tests {
		if got := smarthost.Blame(work(t, "ann@example.org"), parse(t, tt.from), tt.err); status.KindOf(got) != tt.kind || tt.kind == status.Config && !status.Of(got).Temporary() {
			t.Errorf("from %s, %v: %v %v, want %v", tt.from, tt.err, status.KindOf(got), status.Of(got), tt.kind)
		}
	}
}

// mailServer is a server in this process that keeps what it takes.
type mailServer struct {
	server  smtpd.Server
	address string
	ca      string // a file with its certificate
	pin     config.Fingerprint
	mu      sync.Mutex
	mails   []string
}

func newSmarthost(t testing.TB) *mailServer {
	t.Helper()
	certificate, err := smtpd.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	h := &mailServer{ca: writeCA(t, certificate), pin: sha256.Sum256(certificate.Certificate[0])}
	h.server = smtpd.Server{
		Auth: func(user, password string) error {
			if user != "ann@example.org" || password != "swordfish" {
				return errors.New("no")
			}
			return nil
		},
		RequireAuth: true,
		Handle: func(_ context.Context, _ smtpd.Client, e *envelope.Envelope, r io.Reader) error {
			b, err := io.ReadAll(r)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mails = append(h.mails, fmt.Sprint(len(e.To), " recipients, ", len(b), " octets"))
			return err
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	address, wait, err := h.server.Loopback(ctx, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); wait() })
	h.address = address
	return h
}

// writeCA returns a file for tls-ca with a server's certificate.
func writeCA(t testing.TB, certificate tls.Certificate) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func server(t testing.TB, url string) config.Server {
	t.Helper()
	var s config.Server
	if err := s.UnmarshalText([]byte(url)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *mailServer) submitter(t testing.TB, password string, servers ...string) (*Submitter, *config.Account) {
	t.Helper()
	secret, err := credential.NewSecret(password)
	if err != nil {
		t.Fatal(err)
	}
	a := work(t, "ann@example.org")
	for _, url := range append(servers, "smtps://"+h.address) {
		a.Servers = append(a.Servers, server(t, url))
	}
	a.TLSCA = h.ca
	a.Secret = nil // which is the keyring
	return &Submitter{Config: &config.Config{}, Identity: host, Smarthosts: smarthost.New(&credential.Store{Keyring: credential.OneSecret{Secret: secret}})}, a
}

// deadPort is an address where nobody listens.
func deadPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestServersInOrder has a server that is not there, one whose name is not, one
// that says nothing, and a good one.
func TestServersInOrder(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	h := newSmarthost(t)
	s, a := h.submitter(t, "swordfish", "smtp+plain://"+deadPort(t), "smtps://nowhere.invalid", "smtps://"+mute.Addr().String())
	s.Smarthosts.Dialer.Lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	a.Timeout.Duration = 5 * time.Second
	if err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n\nbody\n", "bob@example.net")); err != nil {
		t.Error(err)
	}
	if len(h.mails) != 1 {
		t.Errorf("got %q", h.mails)
	}
}

// TestAddressesInOrder has a host with an address that refuses, one that says
// no in its greeting, and a good one.
func TestAddressesInOrder(t *testing.T) {
	h := newSmarthost(t)
	s, a := h.submitter(t, "swordfish")
	a.Servers = []config.Server{server(t, "smtps://mx.example:465")}
	a.TLSName = "127.0.0.1"
	s.Smarthosts.Dialer.Lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
		if network != "ip4" || host != "mx.example" {
			t.Errorf("looked up %s, %s", network, host)
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}, nil
	}
	if err := a.AddressFamily.UnmarshalText([]byte("4")); err != nil {
		t.Fatal(err)
	}
	var tried []string
	s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		tried = append(tried, address)
		switch address {
		case "192.0.2.1:465":
			return nil, syscall.ECONNREFUSED
		case "192.0.2.2:465":
			here, there := net.Pipe()
			there.Close()
			return here, nil
		}
		return new(net.Dialer).DialContext(ctx, network, h.address)
	}
	if err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net")); err != nil {
		t.Error(err)
	}
	if want := "192.0.2.1:465 192.0.2.2:465 192.0.2.3:465"; strings.Join(tried, " ") != want {
		t.Errorf("tried %v", tried)
	}
}

// TestSRVPortInUse: a server that speaks as its port says, and not as its SRV
// record does, gets the mail.
func TestSRVPortInUse(t *testing.T) {
	h := newSmarthost(t)
	certificate, err := smtpd.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begins := h.server // without TLS
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				if inside, err := StartTLS(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}); err == nil {
					begins.Serve(context.Background(), inside)
				}
			}()
		}
	}()
	for i, tt := range []struct {
		server  string
		port    uint16
		address string
		ca      string
	}{
		{"smtp://_submission._tcp.example.org", 465, h.address, h.ca},
		{"smtps://_submissions._tcp.example.org", 587, l.Addr().String(), writeCA(t, certificate)},
	} {
		s, a := h.submitter(t, "swordfish")
		a.TLSCA = tt.ca
		a.Servers, a.TLSName = []config.Server{server(t, tt.server)}, "127.0.0.1"
		s.Smarthosts.Dialer.LookupSRV = func(context.Context, string) ([]*net.SRV, error) {
			return []*net.SRV{{Target: "mail.example.org.", Port: tt.port}}, nil
		}
		s.Smarthosts.Dialer.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}
		s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, tt.address)
		}
		if err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net")); err != nil || len(h.mails) != i+1 {
			t.Errorf("%s, port %d: %v, %d mails", tt.server, tt.port, err, len(h.mails))
		}
	}
}

// TestPasswordUnprotected: whatever auth says, and wherever a name server says that
// a server is, no password goes to one by name without TLS.
func TestPasswordUnprotected(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	var heard bytes.Buffer
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				io.WriteString(conn, "220 mx\r\n")
				for r := bufio.NewScanner(conn); r.Scan(); {
					mu.Lock()
					heard.WriteString(r.Text() + "\n")
					mu.Unlock()
					switch verb, _, _ := strings.Cut(r.Text(), " "); verb {
					case "EHLO":
						io.WriteString(conn, "250-mx\r\n250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n")
					default:
						io.WriteString(conn, "334 \r\n")
					}
				}
			}()
		}
	}()
	for _, order := range []config.List[string]{nil, {"PLAIN"}, {"LOGIN"}, {"LOGIN", "PLAIN"}, {"XOAUTH2", "PLAIN"}, {"OAUTHBEARER"}, {"SCRAM-SHA-256", "PLAIN"}} {
		s, a := newSmarthost(t).submitter(t, "swordfish")
		a.Servers, a.Auth = []config.Server{server(t, "smtp+plain://mx.example")}, order
		s.Smarthosts.Dialer.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		}
		err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
		if status.KindOf(err) != status.Insecure {
			t.Errorf("%q: %v", order, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if text := heard.String(); strings.Contains(text, "AUTH") || !strings.Contains(text, "EHLO") {
		t.Errorf("the server heard\n%s", text)
	}
}

// TestOtherLocalhost: who listens at one address of localhost is no reason not to
// try the other.
func TestOtherLocalhost(t *testing.T) {
	h, other := newSmarthost(t), newSmarthost(t)
	s, a := h.submitter(t, "swordfish")
	a.Servers, a.TLSFingerprint = []config.Server{server(t, "smtps://localhost:2465")}, config.Fingerprints{h.pin}
	s.Smarthosts.Dialer.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "[::1]:2465" {
			address = other.address
		} else {
			address = h.address
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net")); err != nil || len(h.mails) != 1 {
		t.Errorf("%v, %d mails", err, len(h.mails))
	}
}

func TestNobodyThere(t *testing.T) {
	s, a := newSmarthost(t).submitter(t, "swordfish")
	dead := deadPort(t)
	a.Servers = []config.Server{server(t, "smtp+plain://"+dead)}
	err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
	if want := "connect to " + dead + ": connection refused"; err == nil || err.Error() != want || status.Exit(err) != 75 {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestWrongPassword is tried once: the next server would only refuse it again.
func TestWrongPassword(t *testing.T) {
	h := newSmarthost(t)
	s, a := h.submitter(t, "sword", "smtps://"+h.address)
	logins := 0
	s.Smarthosts.Trace = func(l smtp.Line) {
		if strings.HasPrefix(l.Text, "AUTH") {
			logins++
		}
		if strings.Contains(l.Text, "sword") {
			t.Errorf("%q", l.Text)
		}
	}
	err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
	if status.KindOf(err) != status.AuthFailed || logins != 1 || len(h.mails) > 0 {
		t.Errorf("%d logins: %v", logins, err)
	}
}

// TestManyRecipients are split into transactions of one session.
func TestManyRecipients(t *testing.T) {
	h := newSmarthost(t)
	s, a := h.submitter(t, "swordfish")
	var to []string
	for i := range 250 {
		to = append(to, fmt.Sprintf("r%d@example.net", i))
	}
	if err := s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", to...)); err != nil {
		t.Fatal(err)
	}
	var sizes []string
	for _, m := range h.mails {
		n, _, _ := strings.Cut(m, " ")
		sizes = append(sizes, n)
	}
	if got := strings.Join(sizes, " "); got != "100 100 50" {
		t.Errorf("transactions of %s recipients", got)
	}
}

// TestKeptTogether holds, under the race detector, that of several mails at once
// only one has a session, however soon it is kept for the next.
func TestKeptTogether(t *testing.T) {
	h := newSmarthost(t)
	s, a := h.submitter(t, "swordfish")
	s.Smarthosts.Idle = new(smarthost.Idle)
	defer s.Smarthosts.Idle.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if err := s.Submit(t.Context(), request(t, a, nil, "Subject: x\n", "bob@example.net")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(h.mails) != 80 {
		t.Errorf("%d mails", len(h.mails))
	}
}

// from returns one source of a secret.
func from(t *testing.T, text string) config.List[credential.Ref] {
	t.Helper()
	ref, err := credential.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return config.List[credential.Ref]{ref}
}
