package submit_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAttachmentMemory holds that an attachment of 100 MB takes no more memory than one
// of 1 MB.
func TestAttachmentMemory(t *testing.T) {
	program := filepath.Join(build(t), "sendoff")
	small, large := peak(t, program, 1<<20), peak(t, program, 100<<20)
	if t.Logf("%d kB, and %d kB for a hundred times as much", small, large); large > small+8<<10 {
		t.Errorf("%d kB of memory for 1 MB, %d kB for 100 MB", small, large)
	}
}

// peak returns how much memory program has at most for an attachment of size octets, in
// kB. It asks while the last of the message cannot be written yet.
func peak(t *testing.T, program string, size int64) (kB int) {
	dir := t.TempDir()
	path := filepath.Join(dir, "image")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--dry-run", "--subject", "image", "--attach", path, "bob@example.com")
	cmd.Env = []string{"HOME=" + dir, "SENDOFF_TEST_HOME=" + dir, "TMPDIR=" + dir, "SENDOFF_SERVER=smtp://127.0.0.1", "SENDOFF_FROM=ann@example.org"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := io.CopyN(io.Discard, out, size); err != nil { // base64 has a third more
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(after, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}
