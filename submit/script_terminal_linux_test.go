package submit_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience is how long a person waits for words on the screen.
const patience = time.Minute

// A terminal is a pseudo-terminal of 80 columns: what a program shows on it, and what a
// person types.
type terminal struct {
	*os.File          // the person's side
	program  *os.File // the other

	mu    sync.Mutex
	shown strings.Builder
	seen  int // so much of it has been waited for
}

func openTerminal() (*terminal, error) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	var number int
	err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	if err == nil {
		number, err = unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		return nil, errors.Join(err, person.Close())
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return &terminal{File: person, program: program}, err
}

// watch collects what is shown, until the program is gone.
func (tty *terminal) watch(gone chan<- struct{}) {
	defer close(gone)
	buf := make([]byte, 1024)
	for {
		n, err := tty.Read(buf)
		tty.mu.Lock()
		tty.shown.Write(buf[:n])
		tty.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (tty *terminal) screen() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return strings.ReplaceAll(tty.shown.String(), "\r", "")
}

// sees reports whether text is shown behind what was waited for before.
func (tty *terminal) sees(text string) bool {
	screen := tty.screen()
	at := strings.Index(screen[tty.seen:], text)
	if at < 0 {
		return false
	}
	tty.seen += at + len(text)
	return true
}

// echoes reports whether what is typed is shown.
func (tty *terminal) echoes() bool {
	mode, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	return err != nil || mode.Lflag&unix.ECHO != 0
}

// await waits for something; the program's end is waited for no longer.
func await(gone <-chan struct{}, met func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if met() {
			return true
		}
		select {
		case <-gone:
			return met()
		default:
		}
	}
	return false
}

// act does what the lines of a dialogue say, and returns the first that fails.
func (tty *terminal) act(dialogue string, gone <-chan struct{}) (failed string) {
	for line := range strings.Lines(dialogue) {
		line = strings.TrimSuffix(line, "\n")
		what, text, _ := strings.Cut(line, " ")
		switch what {
		case "<":
			if !await(gone, func() bool { return tty.sees(text) }) {
				return line
			}
		case "*":
			if !await(gone, func() bool { return !tty.echoes() }) {
				return line
			}
			tty.WriteString(text + "\n")
		case "^C":
			if text == "unseen" && !await(gone, func() bool { return !tty.echoes() }) {
				return line
			}
			tty.Write([]byte{3})
		case "^D":
			tty.Write([]byte{4}) // the end of input
		case ">":
			tty.WriteString(text + "\n")
		}
	}
	return ""
}

// finish waits until cmd, which leads a session, has ended. If that takes longer than
// limit, it kills the programs of that session, and reports false.
func finish(cmd *exec.Cmd, limit time.Duration) (ended bool) {
	kill := time.AfterFunc(limit, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	cmd.Wait()
	return kill.Stop()
}

func TestFinish(t *testing.T) {
	for _, test := range []struct {
		seconds string
		limit   time.Duration
		want    bool
	}{{"0", patience, true}, {"600", 0, false}} {
		cmd := exec.Command("sleep", test.seconds)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		if got := finish(cmd, test.limit); got != test.want {
			t.Errorf("sleep %s: ended %t, want %t", test.seconds, got, test.want)
		}
	}
}

func onTerminal(ts *testscript.TestScript, args []string) {
	tty, err := openTerminal()
	ts.Check(err)
	defer tty.Close()
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), args[2]), args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SENDOFF_TEST_HOME", "XDG_CONFIG_HOME", "SENDOFF_CONFIG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", resolverVariable, routesVariable} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.program, tty.program, tty.program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	tty.program.Close()
	gone := make(chan struct{})
	go tty.watch(gone)
	failed := tty.act(os.Expand(ts.ReadFile(args[1]), ts.Getenv), gone)
	left := patience
	if failed != "" {
		left = 0
	}
	ended := finish(cmd, left)
	select {
	case <-gone:
	case <-time.After(patience):
		failed = cmp.Or(failed, "the end: another process still has the terminal")
	}
	ts.Logf("the screen:\n%s", tty.screen())
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(tty.screen()), 0o600))
	usual := strings.NewReplacer(ts.Getenv("WORK"), "/home/ann", ts.Getenv("BIN")+"/", "")
	for line := range strings.Lines(usual.Replace(tty.screen())) {
		if n := utf8.RuneCountInString(line); n > 101 && !strings.HasPrefix(line, "sendoff: ") && !strings.HasPrefix(line, `{"`) { // an object of --json is one line
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
	switch code := strconv.Itoa(cmd.ProcessState.ExitCode()); {
	case failed != "":
		ts.Fatalf("it did not come to this: %s", failed)
	case !ended:
		ts.Fatalf("the program did not end")
	case !tty.echoes():
		ts.Fatalf("the terminal no longer shows what is typed")
	case code != args[0]:
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
