//go:build e2e && linux

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settings are an account's, each value as TOML writes it. "" leaves one out.
type settings map[string]string

// account returns the settings of an account that works, but for changes.
func (s *mailServer) account(t *testing.T, changes settings) settings {
	t.Helper()
	a := settings{
		"server": quote(fmt.Sprintf("smtps://localhost:%d", s.smtps)),
		"user":   quote(username),
		"from":   quote(username),
		"secret": quote("file:" + secretFile(t, password)),
		"tls-ca": quote(s.ca.file),
	}
	maps.Copy(a, changes)
	return a
}

// config writes a configuration file with the one account "work", and without
// a queue.
func config(t *testing.T, a settings) string {
	t.Helper()
	return configQueue(t, a, `queue = "off"`)
}

// configQueue writes one with other settings at its top.
func configQueue(t *testing.T, a settings, top ...string) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "account = \"work\"\nlog = \"off\"\n%s\n\n[accounts.work]\n", strings.Join(top, "\n"))
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if a[key] != "" {
			fmt.Fprintf(&text, "%s = %s\n", key, a[key])
		}
	}
	return write(t, filepath.Join(folder(t), "config.toml"), text.String())
}

// quote makes a TOML string of s.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// folder makes a folder that its user can reach, unlike t.TempDir's.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(lab.dir, "")
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// home makes a folder that the caller owns.
func home(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	if err := chown(dir, lab.caller.Username); err != nil {
		t.Fatal(err)
	}
	return dir
}

// secretFile writes a file that only the caller may read.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(home(t), "secret")
	if err := errors.Join(os.WriteFile(file, []byte(secret+"\n"), 0o600), chown(file, lab.caller.Username)); err != nil {
		t.Fatal(err)
	}
	return file
}

// A call is one run of the program.
type call struct {
	under []string // a program that starts it, with arguments
	as    string   // the name it is called by; "" is sendoff
	args  []string // without that name
	env   []string // beyond what cron sets
	stdin string
}

type result struct {
	exit           int
	stdout, stderr string
	took           time.Duration
	faults         int // lines of stderr that say what went wrong; see fails
}

// run calls the program as cron would: as an ordinary user, without a terminal
// and with next to no environment. Whatever the test is about, the program must
// end, and show no secret.
func (c call) run(t *testing.T) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	words := slices.Concat(c.under, []string{filepath.Join(lab.dir, cmp.Or(c.as, "sendoff"))}, c.args)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"HOME=" + home(t), "LOGNAME=" + lab.caller.Username, "PATH=/usr/bin:/bin", "SHELL=/bin/sh"}, c.env...)
	// A session of its own has no controlling terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: lab.who, Setsid: true}
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	r := result{exit: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(begin)}
	if ctx.Err() != nil {
		t.Fatalf("%q did not end within %s; stderr:\n%s", cmd.Args, patience, r.stderr)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, form := range []string{
		password,
		base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password)),
	} {
		if strings.Contains(r.stdout+r.stderr, form) {
			t.Errorf("%q shows the password as %q:\n%s%s", cmd.Args, form, r.stdout, r.stderr)
		}
	}
	return r
}

// succeeds runs a call that must succeed and say nothing.
func (c call) succeeds(t *testing.T) {
	t.Helper()
	if r := c.run(t); r.exit != 0 || r.stdout+r.stderr != "" {
		t.Fatalf("%q: exit %d, stdout %q, stderr:\n%s", c.args, r.exit, r.stdout, r.stderr)
	}
}

// fails runs a call that must fail with this exit code and with stderr as every
// failure has it: one line for each fault, perhaps that nothing is queued, at
// most one hint, and each of the words.
func (c call) fails(t *testing.T, exit int, words ...string) result {
	t.Helper()
	r := c.run(t)
	if r.exit != exit || r.stdout != "" {
		t.Errorf("%q: exit %d, want %d; stdout %q, stderr:\n%s", c.args, r.exit, exit, r.stdout, r.stderr)
	}
	hints := 0
	for line := range strings.Lines(r.stderr) {
		switch {
		case !strings.HasPrefix(line, "sendoff: "):
			t.Errorf("%q: line without the program's name: %q", c.args, line)
		case strings.HasPrefix(line, hint):
			hints++
		case !strings.HasPrefix(line, "sendoff: not queued"):
			r.faults++
		}
	}
	if r.faults == 0 || hints > 1 {
		t.Errorf("%q: %d faults and %d hints:\n%s", c.args, r.faults, hints, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("%q: stderr lacks %q:\n%s", c.args, word, r.stderr)
		}
	}
	return r
}

// hint is how the line with what to do begins.
const hint = "sendoff: hint: "
