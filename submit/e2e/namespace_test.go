//go:build e2e && linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The users that Debian's packages of Exim and OpenSMTPD would have made.
const mtaUsers = `
Debian-exim:x:61001:61001::/nonexistent:/bin/false
opensmtpd:x:61002:61002::/nonexistent:/bin/false
opensmtpq:x:61003:61003::/nonexistent:/bin/false
`

// eximUID is Debian-exim.
const eximUID = 61001

// unpacked returns a program of the packages in $SENDOFF_UNPACKED.
func unpacked(t *testing.T, program string) string {
	t.Helper()
	need(t)
	file := filepath.Join(os.Getenv("SENDOFF_UNPACKED"), program)
	if _, err := os.Stat(file); os.Getenv("SENDOFF_UNPACKED") != "" && err == nil {
		return file
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s in $SENDOFF_UNPACKED", program)
	}
	t.Skipf("no %s in $SENDOFF_UNPACKED", program)
	return ""
}

// startInNamespace starts a server that has its users and its fixed paths
// (spool, state, sockets, helpers) in a mount namespace of its own, below dir:
// the machine's stay as they are.
func startInNamespace(dir string, words ...string) (*process, error) {
	var mounts []string
	bind := func(from, to string) { mounts = append(mounts, fmt.Sprintf("mount --bind '%s' '%s'", from, to)) }
	for _, file := range []string{"passwd", "group"} {
		text, err := os.ReadFile("/etc/" + file)
		if err != nil {
			return nil, err
		}
		users := mtaUsers
		if file == "group" {
			users = strings.NewReplacer(":61001::/nonexistent:/bin/false", ":", ":61002::/nonexistent:/bin/false", ":", ":61003::/nonexistent:/bin/false", ":").Replace(users)
		}
		if err := os.WriteFile(filepath.Join(dir, file), append(text, users[1:]...), 0o644); err != nil {
			return nil, err
		}
		bind(filepath.Join(dir, file), "/etc/"+file)
	}
	for _, f := range []struct{ name, to string }{{"spool", "/var/spool"}, {"state", "/var/lib"}, {"run", "/run"}} {
		if err := os.MkdirAll(filepath.Join(dir, f.name), 0o755); err != nil {
			return nil, err
		}
		bind(filepath.Join(dir, f.name), f.to)
	}
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "spool", "exim4"), 0o755), os.Chown(filepath.Join(dir, "spool", "exim4"), eximUID, eximUID),
		os.MkdirAll(filepath.Join(dir, "spool", "smtpd"), 0o711),
		os.MkdirAll(filepath.Join(dir, "state", "opensmtpd", "empty"), 0o755),
		os.MkdirAll("/usr/libexec", 0o755),
	)
	bind(filepath.Join(os.Getenv("SENDOFF_UNPACKED"), "usr", "libexec"), "/usr/libexec")
	script := "set -e\n" + strings.Join(mounts, "\n") + "\nexec \"$@\""
	if err != nil {
		return nil, err
	}
	return start(nil, []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}, append([]string{"unshare", "-m", "/bin/sh", "-c", script, "sh"}, words...)...)
}
