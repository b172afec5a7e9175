//go:build e2e && linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should be quick: enough for a
// machine that is busy with something else.
const patience = 60 * time.Second

// A process is a server that a test started.
type process struct {
	cmd  *exec.Cmd
	life io.Closer // closing it, or dying, ends the process
}

// start runs a server under a shell that ends it when the test process closes
// its end of a pipe, which death does as well: a test that runs into its time
// limit cleans nothing up.
func start(who *syscall.Credential, env []string, words ...string) (*process, error) {
	const guard = `"$@" </dev/null & pid=$!; read -r _; exec 2>/dev/null; kill $pid; wait $pid`
	return startShell(who, env, guard, words...)
}

// startShell runs a shell script that must end when its stdin does.
func startShell(who *syscall.Credential, env []string, script string, words ...string) (*process, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, words...)...)
	cmd.Env, cmd.Dir = env, "/"
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// Out of reach of the terminal's ^C, so that the shell is there to clean up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: who}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd, life}, cmd.Start()
}

// outputs runs a command with nothing but PATH in its environment, and returns what it
// writes.
func outputs(t *testing.T, words ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH")}, "/"
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, said.String())
	}
	return string(out), said.String()
}

func (p *process) stop() {
	p.life.Close()
	_ = p.cmd.Wait() // the server ended by a signal, as it should
}

// freePorts returns n ports that nothing listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // at the end, so that no port comes twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// await asks until the answer is yes.
func await(what string, done func() bool) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return fmt.Errorf("%s: not within %s", what, patience)
}

// listening reports whether a server answers there.
func listening(network, address string) func() bool {
	return func() bool {
		c, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// write makes a file that every user may read.
func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// showOnFailure prints what a server logged during the test, if that failed.
func showOnFailure(t *testing.T, path string) {
	before := len(read(path))
	t.Cleanup(func() {
		if t.Failed() {
			lines := strings.Split(strings.TrimSpace(read(path)[before:]), "\n")
			t.Logf("%s:\n%s", path, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
}

// read returns what is in a file, if it is there.
func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
