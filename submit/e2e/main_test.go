//go:build e2e && linux

// Package e2e tests the program as its users have it: the real binary, run as
// an ordinary user, against a real submission server and a real keyring.
//
//	                 ┌── TLS, 465 ──┐
//	sendoff ─────────┤              ├── Postfix ── virtual(8) ── Maildir
//	   │  │          └ STARTTLS, 587┘      │
//	   │  │                           Dovecot SASL
//	   │  └── TLS, LMTP, BDAT … ── Exim, OpenSMTPD, Dovecot (smarthosts_test.go)
//	   └── D-Bus (dbus-run-session) ── gnome-keyring
//
// and called by real programs, in the place of /usr/sbin/sendmail
// (place_test.go, callers_test.go, php_test.go).
//
// Every server listens on a loopback port or in a folder made for the run, and
// ends with the test process, however that ends. The tests need root (Postfix
// does), Debian's postfix, dovecot-core, dovecot-lmtpd, dovecot-submissiond,
// dbus, gnome-keyring, libsecret-tools, strace and the callers, and in the folder
// $SENDOFF_UNPACKED the unpacked exim4-daemon-light, opensmtpd and mdadm, as
// .ci/run has them; without these they are skipped, and fail where CI is set.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lab is the folder of the run and what every test shares.
var lab struct {
	dir     string     // open to every user, as the servers have users of their own
	binary  string     // sendoff, built from the tree
	missing string     // why the tests cannot run here, or ""
	caller  *user.User // who runs sendoff
	who     *syscall.Credential
	mail    *mailServer
	others  smarthosts
}

func TestMain(m *testing.M) {
	runTownsman()
	os.Exit(func() int {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		if lab.dir != "" {
			defer os.RemoveAll(lab.dir)
		}
		code := m.Run()
		lab.others.stop()
		if lab.mail != nil {
			lab.mail.stop()
		}
		if left := orphans(); left != "" {
			fmt.Fprintln(os.Stderr, "e2e: processes left behind, now killed:\n"+left)
			code = max(code, 1)
		}
		return code
	}())
}

// prepare makes the folder and the binary, or says in lab.missing why not.
func prepare() error {
	const subreaper = 36 // PR_SET_CHILD_SUBREAPER
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, subreaper, 1, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	if os.Getuid() != 0 {
		lab.missing = "needs root, to start Postfix and to run sendoff as another user"
		return nil
	}
	// A system user that every Debian has, no test needs, and no one runs
	// anything as.
	caller, err := user.Lookup("games")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(caller.Uid)
	gid, _ := strconv.Atoi(caller.Gid)
	lab.caller, lab.who = caller, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if lab.dir, err = os.MkdirTemp("", "sendoff-e2e"); err != nil {
		return err
	}
	if err := os.Chmod(lab.dir, 0o755); err != nil {
		return err
	}
	lab.binary = filepath.Join(lab.dir, "sendoff")
	build := exec.Command("go", "build", "-o", lab.binary, "sendoff")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, tool := range []string{"postfix", "dovecot", "dbus-run-session", "dbus-send", "gnome-keyring-daemon", "secret-tool", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			lab.missing = err.Error()
		}
	}
	return os.Symlink("sendoff", filepath.Join(lab.dir, "sendmail"))
}

// need skips the test where the servers cannot run, except in CI, where a
// skipped test would pass for a test.
func need(t *testing.T) {
	t.Helper()
	switch {
	case lab.missing == "":
	case os.Getenv("CI") != "":
		t.Fatal("cannot run in CI: ", lab.missing)
	default:
		t.Skip(lab.missing)
	}
}

// needRoot skips the test where nothing can be built for other users, as need does.
func needRoot(t *testing.T) {
	t.Helper()
	if lab.binary == "" {
		need(t)
	}
}

// orphans kills the processes that outlived the tests and names them. As the
// run is its descendants' subreaper, whatever they left behind is its child.
func orphans() string {
	var left strings.Builder
	// Servers that were told to stop may still be about it.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil {
			return "" // ECHILD: there are none
		}
	}
	children, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range children {
		pids, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(pids)) {
			pid, _ := strconv.Atoi(word)
			cmdline, _ := os.ReadFile("/proc/" + word + "/cmdline")
			fmt.Fprintf(&left, "\t%d %s\n", pid, strings.ReplaceAll(string(cmdline), "\x00", " "))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return left.String()
}
