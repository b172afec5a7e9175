package maillog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sendoff/config"
)

// TestLogIsOpenedOnce writes many lines to a log that is not the process's first
// through one file, until it has been renamed for a second: then it is made anew.
func TestLogIsOpenedOnce(t *testing.T) {
	begin := time.Now()
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
	text, err := os.ReadFile(c.Log + ".old")
	if err != nil || !bytes.Contains(text, []byte("b: ")) && time.Since(begin) < time.Second {
		t.Errorf("%q, %v", text, err)
	}
	lines := 2
	for ; !exists(c.Log); lines++ {
		time.Sleep(20 * time.Millisecond)
		one.Line("c", false)
	}
	one.Line("d", false)
	fresh, _ := os.ReadFile(c.Log)
	if text, _ = os.ReadFile(c.Log + ".old"); !bytes.Contains(fresh, []byte("d: ")) || bytes.Count(text, []byte("\n"))+bytes.Count(fresh, []byte("\n")) != lines+1 {
		t.Errorf("of %d lines:\n%s\n%s", lines+1, text, fresh)
	}
	d := *c
	d.Log = config.Off
	if one.Like(&d) != first {
		t.Error("the first log is another one")
	}
}

// TestFaultIsToldOnce writes a fault of the queue once in a while, however often the
// queue is looked at, and by whichever configuration's log.
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
