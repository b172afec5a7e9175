//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// A terminal is a pseudo-terminal: what the program shows on it, and what a
// person types.
type terminal struct {
	*os.File        // the person's side
	program  string // the other side's name

	mu    sync.Mutex
	shown strings.Builder
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	tty := &terminal{File: file}
	var locked, number int32
	tty.ioctl(t, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	tty.ioctl(t, syscall.TIOCGPTN, unsafe.Pointer(&number))
	tty.program = fmt.Sprintf("/dev/pts/%d", number)
	return tty
}

func (tty *terminal) ioctl(t *testing.T, request uintptr, value unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), request, uintptr(value)); errno != 0 {
		t.Fatal(errno)
	}
}

// echoes reports whether the terminal shows what is typed.
func (tty *terminal) echoes(t *testing.T) bool {
	t.Helper()
	var mode syscall.Termios
	tty.ioctl(t, syscall.TCGETS, unsafe.Pointer(&mode))
	return mode.Lflag&syscall.ECHO != 0
}

// watch collects what is shown, until the program is gone.
func (tty *terminal) watch() {
	buf := make([]byte, 1024)
	for {
		n, err := tty.Read(buf)
		if err != nil {
			return
		}
		tty.mu.Lock()
		tty.shown.Write(buf[:n])
		tty.mu.Unlock()
	}
}

func (tty *terminal) screen() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return tty.shown.String()
}

// TestLoginOnTerminal types the password.
func TestLoginOnTerminal(t *testing.T) {
	m := mail(t)
	s := newKeyring(t)
	file := config(t, m.account(t, settings{"secret": `"keyring"`}))
	tty := newTerminal(t)
	program, err := os.OpenFile(tty.program, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), lab.binary, "--config", file, "--login", "work")
	cmd.Dir, cmd.Env = "/", s.env("HOME="+s.dir, "PATH=/usr/bin:/bin")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: lab.who, Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	go tty.watch()
	if err := await("a prompt without echo", func() bool {
		return strings.Contains(strings.ToLower(tty.screen()), "password") && !tty.echoes(t)
	}); err != nil {
		t.Errorf("%v; the screen:\n%s", err, tty.screen())
	}
	if _, err := tty.WriteString(password + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v; the screen:\n%s", err, tty.screen())
	}
	if shown := tty.screen(); strings.Contains(shown, password) || !strings.Contains(shown, "work") && !strings.Contains(shown, username) {
		t.Errorf("the prompt does not say whose password, or shows it:\n%s", shown)
	}
	if got := s.lookup(); got != password {
		t.Errorf("secret-tool finds %q, want %q", got, password)
	}
}
