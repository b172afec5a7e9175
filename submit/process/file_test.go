//go:build unix

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogFile follows the name of a log that others rename, replace and remove,
// once it is time to look.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(line string, due bool) {
		t.Helper()
		l.looked = time.Now().Add(time.Hour / 2) // a clock that was set back is no reason not to look
		if !due {
			l.looked = time.Now()
		}
		if n, err := l.Write([]byte(line)); err != nil || n != len(line) {
			t.Errorf("%s: %d, %v", line, n, err)
		}
	}
	holds := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", filepath.Base(path), got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write("one ", true)
	holds(path, "one ")
	must(os.Rename(path, path+".1"))
	write("two ", true)
	holds(path+".1", "one ")
	holds(path, "two ")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(os.Rename(path, path+".1"))
	must(os.WriteFile(path, []byte("made by logrotate "), 0o640))
	write("three ", true)
	holds(path, "made by logrotate three ")
	must(os.Truncate(path, 0)) // copytruncate
	write("four ", true)
	holds(path, "four ")
	must(os.Remove(path))
	write("five ", true)
	holds(path, "five ")
	must(os.Rename(path, path+".1"))
	must(os.Mkdir(path, 0o700)) // it cannot be written
	write("six ", true)
	holds(path+".1", "five six ")
	must(os.Remove(path))
	if n := testing.AllocsPerRun(10, func() { l.looked = time.Now(); l.Write(nil) }); n > 0 {
		t.Errorf("it looks at the file system each time: %v allocations", n)
	}
	if _, err := OpenLog(filepath.Join(path, "no", "folder")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
