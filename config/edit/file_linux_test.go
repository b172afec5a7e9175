package edit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWritableMounted: a file that a container mounts cannot be replaced. This is found
// before a person is asked.
func TestWritableMounted(t *testing.T) {
	const mounted = "SENDOFF_TEST_MOUNTED"
	if path := os.Getenv(mounted); path != "" {
		if err := only(path, "").Writable(); err == nil || !strings.Contains(err.Error(), "mount its folder") {
			t.Errorf("got %v", err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mount := []string{"-rm", "sh", "-c", `mount --bind "$0" "$0" && exec "$@"`, path}
	if exec.Command("unshare", append(mount, "true")...).Run() != nil {
		t.Skip("nothing can be mounted here")
	}
	cmd := exec.Command("unshare", append(mount, os.Args[0], "-test.run=^TestWritableMounted$")...)
	cmd.Env = append(os.Environ(), mounted+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
