//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetup sets up an account at the real server, by options alone: with a wrong
// password nothing is written; with the right one a test mail arrives, and what
// was written sends mail and is what the doctor logs in with.
func TestSetup(t *testing.T) {
	s := mail(t)
	box, dir := s.box(), home(t)
	setup := func(password string) call {
		c := call{env: []string{"HOME=" + dir, "SSL_CERT_FILE=" + s.ca.file}}
		c.args = []string{"--setup=" + box, "--account=work", "--server=" + fmt.Sprintf("smtps://localhost:%d", s.smtps),
			"--user=" + username, "--password-file=" + secretFile(t, password), "--for=cron", "--yes"}
		return c
	}
	file := filepath.Join(dir, ".config/sendoff/config.toml")
	if r := setup("wrong").run(t); r.exit == 0 || !strings.Contains(r.stderr, "account not saved: AUTH ") || !strings.Contains(r.stderr, "535 5.7.8") {
		t.Errorf("wrong password: exit %d\n%s", r.exit, r.stderr)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it was written all the same")
	}
	if r := setup(password).run(t); r.exit != 0 {
		t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	if text := s.fetch(t, box, 1)[0].message; !strings.Contains(text, "To: <"+box+">\n") && !strings.Contains(text, "To: "+box+"\n") {
		t.Errorf("the test mail:\n%s", text)
	}
	if text := read(file); strings.Contains(text, password) || !strings.Contains(text, "[accounts.work]") {
		t.Errorf("written:\n%s", text)
	}
	env := []string{"HOME=" + dir, "SSL_CERT_FILE=" + s.ca.file}
	call{as: "sendmail", args: []string{"-i", box}, env: env, stdin: header + "\nIt works.\n"}.succeeds(t)
	s.fetch(t, box, 2)
	r := call{args: []string{"--doctor"}, env: env}.run(t)
	// Cron would look in the home that the system knows, which is another here.
	for _, line := range []string{"ok    secret ", "ok    login ", "ok    sender ", "fail  cron "} {
		if !strings.Contains(r.stdout, line) {
			t.Errorf("the doctor has no line %q:\n%s%s", line, r.stdout, r.stderr)
		}
	}
}
