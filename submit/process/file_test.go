//go:build unix

package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLogFile follows the name of a log that others rename, replace and remove.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(line string) {
		t.Helper()
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
	write("one ")
	holds(path, "one ")
	must(os.Rename(path, path+".1"))
	write("two ")
	holds(path+".1", "one ")
	holds(path, "two ")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(os.Rename(path, path+".1"))
	must(os.WriteFile(path, []byte("made by logrotate "), 0o640))
	write("three ")
	holds(path, "made by logrotate three ")
	must(os.Truncate(path, 0)) // copytruncate
	write("four ")
	holds(path, "four ")
	must(os.Remove(path))
	write("five ")
	holds(path, "five ")
	must(os.Rename(path, path+".1"))
	must(os.Mkdir(path, 0o700)) // it cannot be written
	write("six ")
	holds(path+".1", "five six ")
	must(os.Remove(path))
	if _, err := OpenLog(filepath.Join(path, "no", "folder")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// TestOpenRegular takes a file and nothing else, and waits for no writer of a FIFO.
func TestOpenRegular(t *testing.T) {
	folder := t.TempDir()
	file, fifo := filepath.Join(folder, "file"), filepath.Join(folder, "fifo")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{file: nil, fifo: ErrNotRegular, folder: ErrNotRegular, file + "2": fs.ErrNotExist} {
		f, err := OpenRegular(path)
		if !errors.Is(err, want) || (f == nil) != (want != nil) {
			t.Errorf("%s: %v, not %v", path, err, want)
		}
		if f != nil {
			f.Close()
		}
	}
}

// TestReplace replaces a file whole, makes a new one, and leaves nothing beside it.
func TestReplace(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	for _, row := range []struct {
		text       string
		mode, want fs.FileMode
	}{{"a", 0o644, 0o644}, {"b", 0o600, 0o600}, {"c", 0o640, 0o640}, {"d", 0, 0o640}, {"e", 0o600, 0o600}, {"f", 0, 0o600}} {
		if err := Replace(path, ".new-*", []byte(row.text), row.mode); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(path)
		info, err := os.Stat(path)
		if err != nil || string(text) != row.text || info.Mode().Perm() != row.want {
			t.Errorf("%s: %s, %v, %v", row.text, text, info.Mode(), err)
		}
	}
	os.Remove(path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if Replace(path, ".new-*", []byte("x"), 0) == nil {
		t.Error("a folder is replaced")
	}
	if names, _ := os.ReadDir(folder); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
}
