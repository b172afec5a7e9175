//go:build bench && linux

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// An unpacked peer is Debian's package in $SENDOFF_PEERS, because it cannot be
// installed beside another MTA. Its paths are fixed: .ci/bench runs everything
// in a mount namespace with folders of $SENDOFF_PEERS in their place.
type unpacked struct {
	t       *testing.T
	folder  string // $SENDOFF_PEERS
	etc     string // the folder of its configuration
	program string
}

func unpack(d *desk, etc, program string) unpacked {
	folder := os.Getenv("SENDOFF_PEERS")
	return unpacked{d.t, folder, etc, filepath.Join(folder, "usr/sbin", program)}
}

// there says whether the peer can be run, and its folders are not the
// machine's.
func (p unpacked) there() bool {
	_, err := os.Stat(p.program)
	ours, missing := os.Stat(filepath.Join(p.folder, p.etc))
	found, absent := os.Stat(p.etc)
	return p.folder != "" && err == nil && missing == nil && absent == nil && os.SameFile(ours, found)
}

// write writes a file of the configuration.
func (p unpacked) write(name, text string) {
	if err := os.WriteFile(filepath.Join(p.folder, p.etc, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// discard removes the files in a folder that match a pattern: a queue left by
// the measurement before.
func discard(folder, pattern string) {
	files, _ := filepath.Glob(filepath.Join(folder, pattern))
	for _, file := range files {
		os.Remove(file)
	}
}

// wait waits until the server has taken n messages, but not much longer than a
// slow peer needs for the few that it is given.
func (s *server) wait(n int) {
	for deadline := time.Now().Add(time.Minute); int(s.taken.Load()) < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// until runs a peer that empties its queue until the server has taken n
// messages, and returns how long that took. Then it ends the peer with all
// processes that it has started.
func (p unpacked) until(s *server, n int, cmd *exec.Cmd) time.Duration {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	s.wait(n)
	took := time.Since(begin)
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
	return took
}
