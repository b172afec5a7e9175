//go:build linux

// Package trusttest gives tests a server that belongs to another user.
package trusttest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// listenAsEnv makes the test binary a server, for a test that starts it as another user.
// The server accepts a connection and runs until its stdin ends.
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
	case "proxy": // asks for a password (RFC 1929), and prints what it has received
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

// ListenAs60001 starts the test binary as another user, and returns its address and the
// rest of its output. how is "stays", "leaves" (stops listening) or "proxy".
func ListenAs60001(t *testing.T, how string) (address string, said *bufio.Scanner) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	// Pass the open program: the other user may not be able to read it.
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
