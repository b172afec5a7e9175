//go:build unix

package submit

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
)

// TestSockets opens nothing that another machine could reach, and replaces
// nothing but a socket that nobody listens on.
func TestSockets(t *testing.T) {
	dir := t.TempDir()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "mx.example:0", "127.0.0.1", "25", "submit.sock", "unix:submit.sock"} {
		if l, _, err := Sockets(address); err == nil {
			t.Errorf("%s is served at %s", address, l[0].Addr())
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", filepath.Join(dir, "a"), "unix:" + filepath.Join(dir, "b")} {
		l, activated, err := Sockets(address)
		if err != nil || activated {
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
	if _, _, err := Sockets(stale); err == nil {
		t.Error("a socket in use was replaced")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	again, _, err := Sockets(stale)
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
	if _, _, err := Sockets(file); err == nil {
		t.Error("a file was replaced")
	}
	if text, err := os.ReadFile(file); string(text) != "mine" {
		t.Error(err)
	}
}

// TestListenIdle lets a server that a socket unit has started end by itself, but
// not while somebody is connected.
func TestListenIdle(t *testing.T) {
	sockets, _, err := Sockets(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("unix", sockets[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	v := &Service{Submitter: &Submitter{Config: config.Default()}}
	ended := make(chan error, 1)
	go func() { ended <- v.Listen(context.Background(), sockets, 10*time.Millisecond) }()
	greeting := make([]byte, 100)
	n, err := client.Read(greeting)
	if err != nil || !strings.HasPrefix(string(greeting[:n]), "220 ") {
		t.Fatalf("%q, %v", greeting[:n], err)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with a client: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	client.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
