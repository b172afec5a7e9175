//go:build unix

package submit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTogether: of processes that change one configuration at the same time none
// undoes what another has written.
func TestTogether(t *testing.T) {
	bin, home := build(t), t.TempDir()
	const accounts = 12
	var text strings.Builder
	for n := range accounts {
		fmt.Fprintf(&text, "[accounts.a%d]\nserver = \"smtps://mx.example\"\nuser = \"ann\"\n", n)
	}
	file := filepath.Join(home, "config.toml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range accounts {
		all.Go(func() {
			cmd := exec.Command(filepath.Join(bin, "sendoff"), "--login", fmt.Sprint("a", n), "--for", "cron", "--config", file)
			cmd.Env = []string{"HOME=" + home, "SENDOFF_TEST_HOME=" + home}
			cmd.Stdin = strings.NewReader("s3kr1t\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(made), `secret = "file:~/a`); n != accounts {
		t.Errorf("%d of %d accounts were changed:\n%s", n, accounts, made)
	}
}
