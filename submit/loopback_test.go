//go:build linux

package submit

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"sendoff/config"
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
	if os.Getenv(listenAsEnv) == "leaves" {
		l.Close()
	}
	conn.Write([]byte("220 hello\r\n"))
	os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// TestTrustPort gives no secret to another user who has a port of this machine,
// nor to one who does not listen there any more, but has accepted us.
func TestTrustPort(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"stays", "leaves"} {
		t.Run(how, func(t *testing.T) {
			// The other user need not be able to read the program.
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
			defer cmd.Wait()
			defer in.Close()
			text := make([]byte, 100)
			n, err := out.Read(text)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", strings.TrimSpace(string(text[:n])))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Read(text); err != nil {
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
