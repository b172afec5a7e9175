//go:build linux

package submit

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

func TestTrustedOwner(t *testing.T) {
	nobody := "65534"
	if name := process.UserName(65534); name != nobody {
		nobody = name
	}
	for _, test := range []struct {
		name   string
		user   string // server-user
		uid    int
		wanted bool
	}{
		{"root", "", 0, true},
		{"ourselves", "", os.Geteuid(), true},
		{"a service", "", 101, true},
		{"somebody", "", 60001, false},
		{"somebody who is meant, by number", "60001", 60001, true},
		{"somebody else than is meant", "60001", 60002, false},
		{"one who is meant, by name", nobody, 65534, true},
	} {
		if got := trustedOwner(&config.Account{ServerUser: test.user}, test.uid); got != test.wanted {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// listenAsEnv makes the test's own program a server, for a test that starts it as
// another user: it accepts one connection and stays until its standard input
// ends.
const listenAsEnv = "SENDOFF_TEST_SERVES"

func init() {
	if os.Getenv(listenAsEnv) == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(l.Addr().String() + "\n")
	conn, err := l.Accept()
	if err != nil {
		os.Exit(1)
	}
	switch os.Getenv(listenAsEnv) {
	case "leaves":
		l.Close()
	case "proxy": // it asks for a password (RFC 1929), and tells what it hears
		said := make([]byte, 100)
		conn.Read(said)
		conn.Write([]byte{5, 2})
		n, _ := conn.Read(said)
		fmt.Printf("heard %q\n", said[:n])
	}
	conn.Write([]byte("220 hello\r\n"))
	os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// listenAs60001 starts that program, and returns its address and what else it says.
func listenAs60001(t *testing.T, how string) (address string, said *bufio.Scanner) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	// The other user need not be able to read the program.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env, cmd.Dir = []string{listenAsEnv + "=" + how}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60001, Gid: 60001}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	said = bufio.NewScanner(out)
	said.Scan()
	return said.Text(), said
}

// TestTrustProxy gives no password to another user who has the port of the proxy.
func TestTrustProxy(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3kr1t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"", "60001"} {
		address, said := listenAs60001(t, "proxy")
		a := work(t, "ann@example.org")
		a.User, a.ServerUser = "", known
		a.Servers = []config.Server{server(t, "smtp+plain://mx.example:2525")}
		a.Proxy.Address, a.Proxy.User, a.ProxySecret = address, "ann", config.List[string]{"file:" + secret}
		s := &Submitter{Config: &config.Config{}, Store: new(credential.Store)}
		err := s.Submit(t.Context(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
		said.Scan()
		switch heard := strings.Contains(said.Text(), "s3kr1t"); {
		case known != "":
			if !heard {
				t.Errorf("the server-user %s: %v", said.Text(), err)
			}
		case heard || status.KindOf(err) != status.Insecure || !strings.Contains(status.Hint(err), "server-user"):
			t.Errorf("%s: %v; hint: %s", said.Text(), err, status.Hint(err))
		}
	}
}

// TestTrustPort gives no secret to another user who has a port of this machine,
// nor to one who does not listen there any more, but has accepted us.
func TestTrustPort(t *testing.T) {
	for _, how := range []string{"stays", "leaves"} {
		t.Run(how, func(t *testing.T) {
			address, _ := listenAs60001(t, how)
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			port, from := conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort()
			known, err := trustPort(&config.Account{}, port, from)
			if !known || status.KindOf(err) != status.Insecure || !strings.Contains(status.Hint(err), "server-user") {
				t.Errorf("%v, %v; hint: %s", known, err, status.Hint(err))
			}
			if _, err := trustPort(&config.Account{ServerUser: "60001"}, port, from); err != nil {
				t.Error(err)
			}
		})
	}
	if known, err := trustPort(&config.Account{}, netip.MustParseAddrPort("127.0.0.1:25"), netip.AddrPort{}); !known || err != nil {
		t.Errorf("a port that only root can open: %v, %v", known, err)
	}
}
