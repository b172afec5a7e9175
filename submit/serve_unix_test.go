//go:build unix

package submit_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServeSocket starts -bs on sockets: an unnamed pair is a pipe, on which lines
// may end with LF; on one that has a name they must not, and nobody is served
// who came over a network.
func TestServeSocket(t *testing.T) {
	binary := filepath.Join(build(t), "sendmail")
	pair := func(t *testing.T) (ours net.Conn, theirs *os.File) {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		mine := os.NewFile(uintptr(fds[0]), "ours")
		defer mine.Close()
		conn, err := net.FileConn(mine)
		if err != nil {
			t.Fatal(err)
		}
		return conn, os.NewFile(uintptr(fds[1]), "theirs")
	}
	listening := func(network, address string) func(*testing.T) (net.Conn, *os.File) {
		return func(t *testing.T) (net.Conn, *os.File) {
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conn, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			f, err := accepted.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			return conn, f
		}
	}
	for name, tt := range map[string]struct {
		open        func(*testing.T) (net.Conn, *os.File)
		says, error string
	}{
		"pair":     {pair, "220 |221 ", ""},
		"unix":     {listening("unix", filepath.Join(t.TempDir(), "s")), "220 |500 5.5.2 lines must end with CRLF", ""},
		"internet": {listening("tcp", "127.0.0.1:0"), "", "see --listen"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, file := tt.open(t)
			defer conn.Close()
			cmd := exec.Command(binary, "-bs")
			var said strings.Builder
			cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, &said
			cmd.Env = []string{"SENDOFF_CONFIG=" + os.DevNull, "HOME=" + t.TempDir()}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			file.Close()
			io.WriteString(conn, "QUIT\n")
			conn.(interface{ CloseWrite() error }).CloseWrite()
			replies, _ := io.ReadAll(conn)
			err := cmd.Wait()
			if (err != nil) != (tt.error != "") || !strings.Contains(said.String(), tt.error) || tt.error == "" && said.Len() > 0 {
				t.Errorf("%v, %q, want %q", err, &said, tt.error)
			}
			for i, want := range strings.Split(tt.says, "|") {
				if lines := strings.SplitAfter(string(replies), "\n"); i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Errorf("replies %q, want %q", replies, tt.says)
				}
			}
		})
	}
}
