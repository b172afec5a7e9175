//go:build unix

package serve

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/smarthost"
)

// TestSockets tests that no address is opened which another machine could reach, and
// that only a socket on which no process listens is replaced.
func TestSockets(t *testing.T) {
	dir := t.TempDir()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "mx.example:0", "127.0.0.1", "25", "submit.sock", "unix:submit.sock"} {
		if l, err := Sockets(address); err == nil {
			t.Errorf("%s is served at %s", address, l[0].Addr())
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", filepath.Join(dir, "a"), "unix:" + filepath.Join(dir, "b")} {
		l, err := Sockets(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		l[0].Close()
	}
	stale, file := filepath.Join(dir, "stale"), filepath.Join(dir, "file")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sockets(stale); err == nil {
		t.Error("a socket in use was replaced")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	again, err := Sockets(stale)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(stale); err != nil || info.Mode() != fs.ModeSocket|0o666 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	again[0].Close()
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Sockets(file); err == nil {
		t.Error("a file was replaced")
	}
	if text, err := os.ReadFile(file); string(text) != "mine" {
		t.Error(err)
	}
}

// TestListenIdle tests that a server with an idle time ends by itself, but not while a
// client is connected, and that it tells the service manager when it is ready and ends.
func TestListenIdle(t *testing.T) {
	sockets, err := Sockets(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	state := func(want string) {
		t.Helper()
		text := make([]byte, 100)
		manager.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := manager.Read(text); err != nil || string(text[:n]) != want {
			t.Errorf("the service manager got %q, %v; want %s", text[:n], err, want)
		}
	}
	client, err := net.Dial("unix", sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	v := &Service{Submitter: &submit.Submitter{Config: config.Default(), Smarthosts: smarthost.New(new(credential.Store))}}
	ended := make(chan error, 1)
	const idle = 250 * time.Millisecond // for a busy machine to accept the client
	go func() { ended <- v.Listen(context.Background(), sockets, idle) }()
	state("READY=1")
	greeting := make([]byte, 100)
	n, err := client.Read(greeting)
	if err != nil || !strings.HasPrefix(string(greeting[:n]), "220 ") {
		t.Fatalf("%q, %v", greeting[:n], err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with a client: %v", err)
	case <-time.After(2 * idle):
	}
	client.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	state("STOPPING=1")
}

// TestListenStrangers tests that a user has few sessions without a login on a TCP port,
// and gets another session as soon as one has ended.
func TestListenStrangers(t *testing.T) {
	sockets, err := Sockets("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := &Service{Submitter: &submit.Submitter{Config: config.Default(), Smarthosts: smarthost.New(new(credential.Store))}}
	ended := make(chan error, 1)
	go func() { ended <- v.Listen(ctx, sockets, 0) }()
	connect := func() (net.Conn, string) {
		client, err := net.Dial("tcp", sockets[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		greeting, err := bufio.NewReader(client).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return client, greeting
	}
	var clients []net.Conn
	for range maxLoggingInPerUser {
		client, greeting := connect()
		if !strings.HasPrefix(greeting, "220 ") {
			t.Fatal(greeting)
		}
		clients = append(clients, client)
	}
	known := runtime.GOOS == "linux" // only there PeerOfTCP knows the user of a client
	if client, greeting := connect(); known != strings.HasPrefix(greeting, "421 ") {
		t.Errorf("one more client of this user hears %q", greeting)
	} else {
		client.Close()
	}
	clients[0].Close()
	for greeting := "421"; strings.HasPrefix(greeting, "421"); { // until the server sees that the session has ended
		clients[0], greeting = connect()
		clients[0].Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, c := range clients {
		c.Close()
	}
}

// TestPunishedClientLeaves tests that a client which leaves before the reply to a wrong
// password stops waiting.
func TestPunishedClientLeaves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	v := new(Service)
	v.guessing.Lock() // another client has given a wrong password, and waits as long as this test lasts
	done := make(chan bool)
	go func() {
		v.delayWrongPassword(t.Context(), conn)
		close(done)
	}()
	select {
	case <-done:
		t.Fatal("a client that waits is not punished")
	case <-time.After(100 * time.Millisecond):
	}
	client.Close()
	<-done
}

// TestKeyhole tests that a secret is read once for many logins, and again when a
// password does not fit.
func TestKeyhole(t *testing.T) {
	dir := t.TempDir()
	secret, runs := filepath.Join(dir, "secret"), filepath.Join(dir, "runs")
	write := func(text string) {
		if err := os.WriteFile(secret, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	ref, err := credential.ParseRef(fmt.Sprintf("command:sh -c 'echo >>%s; cat %s'", runs, secret))
	if err != nil {
		t.Fatal(err)
	}
	a := &config.Account{Name: "work", User: "user", Secret: config.List[credential.Ref]{ref}}
	s := &submit.Submitter{Config: config.Default(), Smarthosts: smarthost.New(&credential.Store{})}
	k := new(passwords)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if !k.fits(t.Context(), s, a, "one") {
				t.Error("the password does not fit")
			}
		})
	}
	all.Wait()
	if text, _ := os.ReadFile(runs); len(text) != 1 {
		t.Errorf("20 logins have fetched the secret %d times", len(text))
	}
	write("two")
	for key, f := range k.known {
		f.at = f.at.Add(-refuseFor)
		k.known[key] = f
	}
	if !k.fits(t.Context(), s, a, "two") || k.fits(t.Context(), s, a, "one") {
		t.Error("the old password fits, and not the new one")
	}
	if text, _ := os.ReadFile(runs); len(text) != 2 {
		t.Errorf("the secret was fetched %d times", len(text))
	}
}
