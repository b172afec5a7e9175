//go:build e2e && linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostName has names of this host as containers and small systems have them:
// none is a reason to fail, and none goes into EHLO that servers refuse there.
func TestHostName(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ host, from, want string }{
		{"my_host", "", "localhost"},
		{"my_host", "ann@example.org", "example.org"},
		{"web.my_project_default", "ann@example.org", "example.org"},
		{"(none)", "", "localhost"},
		{"(none)", "ann@example.org", "example.org"},
		{"host.", "", "host"},
		{"192.0.2.7", "", "localhost"},
		{"-x.example.org", "ann@example.org", "example.org"},
		{"mx.example.com", "ann@example.org", "mx.example.com"},
	} {
		cmd := exec.Command("unshare", "-u", "sh", "-c", `printf %s "$1" >/proc/sys/kernel/hostname && exec "$2" --dry-run bob@example.net`, "sh", tt.host, lab.binary)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "SENDOFF_CONFIG=" + file, "SENDOFF_SERVER=smtp://smtp.example.org", "SENDOFF_FROM=" + tt.from}
		cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\nEHLO:      "+tt.want+"\n") || !strings.Contains(string(out), "\nMessage-ID: <") {
			t.Errorf("%+v: %v\n%s", tt, err, out)
		}
	}
}
