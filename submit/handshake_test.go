package submit

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/maillog"
	"sendoff/submit/queue"
	"sendoff/submit/smarthost"
	"sendoff/submit/status"
)

// A middlebox passes on connections whose ClientHello fits into one packet. The
// others it resets, ends or forgets.
type middlebox struct {
	net.Listener
	to     string
	does   string // reset, end or forget
	all    bool   // none passes
	mu     sync.Mutex
	hellos []int // their sizes
}

func newMiddlebox(t *testing.T, to, does string) *middlebox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := &middlebox{Listener: l, to: to, does: does}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go m.serve(conn)
		}
	}()
	return m
}

func (m *middlebox) serve(conn net.Conn) {
	defer conn.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	size := len(head) + int(binary.BigEndian.Uint16(head[3:]))
	m.mu.Lock()
	m.hellos = append(m.hellos, size)
	passes := size <= 1200 && !m.all
	m.mu.Unlock()
	switch {
	case passes:
	case m.does == "reset":
		conn.(*net.TCPConn).SetLinger(0)
		return
	case m.does == "end":
		io.ReadFull(conn, make([]byte, size-len(head))) // or it would be a reset
		return
	default:
		io.Copy(io.Discard, conn)
		return
	}
	server, err := net.Dial("tcp", m.to)
	if err != nil {
		return
	}
	defer server.Close()
	server.Write(head)
	go func() {
		io.Copy(server, conn)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(conn, server)
}

// sizes returns how long the ClientHellos since the last call were.
func (m *middlebox) sizes() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var words []string
	for _, size := range m.hellos {
		word := "short"
		if size > 1200 {
			word = "long"
		}
		words = append(words, word)
	}
	m.hellos = nil
	return strings.Join(words, " ")
}

// queued gives s a queue, and an account that does not trust h.
func (h *mailServer) queued(t *testing.T, address string) (*Submitter, *config.Account) {
	t.Helper()
	s, a := h.submitter(t, "swordfish")
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("swordfish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Queue, s.Smarthosts.Secrets.Store = q, &credential.Store{Home: "/nonexistent"}
	s.Config = config.Default()
	s.Config.Aliases, s.Spool.Runner = config.Off, config.Off
	a.TLSCA = ""
	a.Secret, a.Timeout.Duration = from(t, "file:"+secret), 4*time.Second
	a.Servers = config.List[config.Server]{server(t, "smtps://"+address)}
	return s, a
}

// TestLongClientHello: where a ClientHello of more than one packet is lost, one of
// one packet is sent, which is remembered for a day, and logged.
func TestLongClientHello(t *testing.T) {
	for _, does := range []string{"reset", "end", "forget"} {
		t.Run(does, func(t *testing.T) {
			h := newSmarthost(t)
			box := newMiddlebox(t, h.address, does)
			s, a := h.queued(t, box.Addr().String())
			a.TLSFingerprint = config.Fingerprints{h.pin}
			log := filepath.Join(t.TempDir(), "log")
			var warned []string
			s.Console = &status.Console{Caller: func(text string) { warned = append(warned, text) }}
			s.Log = &maillog.Log{Place: log, Tag: "sendoff"}
			send := func() error {
				return s.Submit(context.Background(), request(t, a, nil, "Subject: x\n\nbody\n", "bob@example.net"))
			}
			if err := send(); err != nil || len(h.mails) != 1 {
				t.Fatalf("%v, %d mails", err, len(h.mails))
			}
			if got := box.sizes(); got != "long short" {
				t.Errorf("first: %s", got)
			}
			if text, _ := os.ReadFile(log); !strings.Contains(string(text), smarthost.OnlyClassical) {
				t.Errorf("not logged: %s", text)
			}
			if err := send(); err != nil || box.sizes() != "short" {
				t.Errorf("again: %v", err)
			}
			if len(warned) != 2 || !strings.Contains(warned[0], smarthost.OnlyClassical) || !strings.HasPrefix(warned[1], "hint: ") {
				t.Errorf("warned: %q", warned)
			}
			s.Config.Queue = s.Queue.String()
			s.Config.Accounts = []*config.Account{a}
			var found strings.Builder
			RunDoctor(context.Background(), s, &found)
			if !strings.Contains(found.String(), "\nnote  TLS       TLS 1.3, ") || !strings.Contains(found.String(), smarthost.OnlyClassical+"\n                hint: ") {
				t.Errorf("the doctor says:\n%s", found.String())
			}
			box.sizes()
			for _, name := range s.Queue.State.List() {
				if strings.HasPrefix(name, "address-") {
					s.Queue.State.Write(name, fmt.Appendf(nil, `{"classical": %q}`, time.Now().Add(-time.Hour).Format(time.RFC3339Nano)))
				}
			}
			if err := send(); err != nil || box.sizes() != "long short" {
				t.Errorf("after a day: %v", err)
			}
		})
	}
}

// TestLostClientHello: nothing is remembered of a server with which no handshake
// succeeds.
func TestLostClientHello(t *testing.T) {
	h := newSmarthost(t)
	box := newMiddlebox(t, h.address, "reset")
	s, a := h.queued(t, box.Addr().String())
	send := func() { s.Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net")) }
	for _, all := range []bool{true, false} { // in the second one the certificate is bad
		box.mu.Lock()
		box.all = all
		box.mu.Unlock()
		send()
		if got := box.sizes(); got != "long short" {
			t.Errorf("%v: %s", all, got)
		}
		send()
		if got := box.sizes(); got != "long short" && got != "" { // the account may rest
			t.Errorf("%v: %s", all, got)
		}
	}
	for _, name := range s.Queue.State.List() {
		if strings.HasPrefix(name, "address-") {
			t.Errorf("remembered: %s", s.Queue.State.Read(name))
		}
	}
}
