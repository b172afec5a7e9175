package maillog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/config"
)

// TestLogIsOpenedOnce tests that configurations with the same log write through one Log,
// and that lines after the file was renamed go to a new file.
func TestLogIsOpenedOnce(t *testing.T) {
	c := config.Default()
	first := &Log{Place: config.Off, Format: c.LogFormat, Tag: "sendoff"}
	c.Log = filepath.Join(t.TempDir(), "log")
	one := first.Like(c)
	one.Line("a", false)
	if err := os.Rename(c.Log, c.Log+".old"); err != nil {
		t.Fatal(err)
	}
	if again := one.Like(c); again != one || first.Like(c) != one {
		t.Error("another log")
	}
	first.Like(c).Line("b", false)
	one.Line("c", false)
	old, err := os.ReadFile(c.Log + ".old")
	fresh, errFresh := os.ReadFile(c.Log)
	lines := bytes.Count(old, []byte("\n")) + bytes.Count(fresh, []byte("\n"))
	if err != nil || errFresh != nil || !bytes.Contains(old, []byte("a: ")) || !bytes.Contains(fresh, []byte("c: ")) || lines != 3 {
		t.Errorf("%q, %v; %q, %v", old, err, fresh, errFresh)
	}
	d := *c
	d.Log = config.Off
	if one.Like(&d) != first {
		t.Error("the first log is another one")
	}
}

// TestFaultIsToldOnce tests that a fault is written once in tellAgain, even if several
// configurations' logs write it.
func TestFaultIsToldOnce(t *testing.T) {
	c := config.Default()
	c.Log = filepath.Join(t.TempDir(), "log")
	first := &Log{Place: config.Off, Format: c.LogFormat, Tag: "sendoff"}
	for range 5 {
		first.Like(c).Fault(errors.New("no space left"))
	}
	text, err := os.ReadFile(c.Log)
	if n := strings.Count(string(text), "no space left"); n != 1 || err != nil {
		t.Errorf("told %d times, %v", n, err)
	}
	first.Fault(errors.New("no inode left"))
	if first.Like(c).Fault(errors.New("no inode left")); strings.Contains(read(t, c.Log), "inode") {
		t.Error("told by two logs")
	}
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
