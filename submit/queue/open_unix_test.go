//go:build unix

package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOpen checks which folders Open accepts, and which other users may have prepared.
func TestOpen(t *testing.T) {
	uid := os.Geteuid()
	dir := t.TempDir()
	folder := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(folder("mine", 0o700), link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, err string }{
		{filepath.Join(dir, "new", "queue"), ""},
		{folder("there", 0o700), ""},
		{folder("open", 0o750), "can be used by others"},
		{link, "not a folder"},
		{file, "not a folder"},
	} {
		q, err := Open(tt.path, uid)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.err)
		}
		if err == nil && q.String() != tt.path {
			t.Errorf("opened %s, want %s", q, tt.path)
		}
	}
	if _, err := Open(filepath.Join(dir, "mine"), uid+1); err == nil {
		t.Error("a folder of somebody else's was opened")
	}
	if _, err := Existing(filepath.Join(dir, "none"), uid); err == nil {
		t.Error("Existing has made a folder")
	}
	if uid != 0 {
		return
	}
	shared := folder("shared", 0o777|os.ModeSticky)
	if q, err := Open(shared, 0); err != nil || q.String() != filepath.Join(shared, "0") {
		t.Errorf("in a shared folder: %v %v", q, err)
	}
	if err := os.Chown(filepath.Join(shared, "0"), 4242, -1); err != nil {
		t.Fatal(err)
	}
	second, err := Open(shared, 0)
	if err != nil || !strings.HasPrefix(second.String(), filepath.Join(shared, "0.")) {
		t.Fatalf("where somebody else has taken the name: %v %v", second, err)
	}
	for name, mode := range map[string]os.FileMode{"0.a": 0o750, "0.b": 0o700} { // Open must not use them
		if err := os.Mkdir(filepath.Join(shared, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(shared, "0.b"), 4242, -1); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(string, int) (*Queue, error){Open, Existing} {
		if q, err := open(shared, 0); err != nil || q.String() != second.String() {
			t.Errorf("the second time: %v %v, want %v", q, err, second)
		}
	}
	if err := os.Remove(filepath.Join(shared, "0")); err != nil {
		t.Fatal(err)
	}
	if q, err := Open(shared, 0); err != nil || q.String() != second.String() {
		t.Errorf("when the name is free again: %v %v, want %v", q, err, second)
	}
	if err := os.RemoveAll(second.String()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(shared, "0")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(shared, 0); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("a link of one's own: %v", err)
	}
	if info, err := os.Lstat(shared); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Fatal(err)
	}
}

// TestCountBelow: mail counts wherever it is below the folder, and whoever may use its queue.
func TestCountBelow(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"queue", "other"} {
		path := filepath.Join(folder, name)
		q, err := Open(path, os.Geteuid())
		if err != nil {
			t.Fatal(err)
		}
		for _, add := range []func(*Entry, io.Reader) error{q.Add, q.AddFailed} {
			if err := add(new(Entry), strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Existing(path, os.Geteuid()); err == nil {
			t.Error("a queue that others can use was opened")
		}
	}
	if n, err := CountBelow(folder); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := CountBelow(filepath.Join(folder, "none")); n != 0 || err != nil {
		t.Errorf("none: %d, %v", n, err)
	}
}

// TestFIFO checks that a FIFO in the place of a file does not block.
func TestFIFO(t *testing.T) {
	q := openTest(t)
	id := NewID(time.Now())
	for _, end := range []string{messageEnd, envelopeEnd} {
		if err := syscall.Mkfifo(filepath.Join(q.path, string(id)+end), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := new(Bad)
	if _, err := q.Read(id); !errors.As(err, &bad) {
		t.Errorf("read: %v", err)
	}
	if _, err := q.Claim(id); !errors.As(err, &bad) {
		t.Errorf("claimed: %v", err)
	}
	if q.Busy(id) {
		t.Error("busy")
	}
}

// TestLocked checks that locked does not take the lock.
func TestLocked(t *testing.T) {
	q := openTest(t)
	if locked, err := q.State.Locked("runner"); locked || err != nil {
		t.Errorf("%v %v", locked, err)
	}
	release, err := q.State.Lock("runner")
	if err != nil {
		t.Fatal(err)
	}
	if locked, err := q.State.Locked("runner"); !locked || err != nil {
		t.Errorf("%v %v", locked, err)
	}
	release()
	if locked, err := q.State.Locked("runner"); locked || err != nil {
		t.Errorf("%v %v", locked, err)
	}
	if err := os.RemoveAll(filepath.Join(q.path, "account")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(q.path, "account"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := q.State.Locked("runner"); err == nil {
		t.Error("nobody could take it, and no error")
	}
}

// TestOpenFIFO checks that a FIFO that replaces a folder while it is opened does not block.
func TestOpenFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := openFolder(path)
		opened <- err
	}()
	select {
	case err := <-opened:
		if !errors.Is(err, syscall.ENOTDIR) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits for somebody who writes to the FIFO")
	}
}

// TestOpenFails checks that Open returns an error if the new folder is not the user's.
func TestOpenFails(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "queue")
	for range 2 { // first the folder is made, then it exists
		if q, err := Open(folder, os.Geteuid()+1); err == nil || q != nil {
			t.Errorf("%v, %v", q, err)
		}
	}
}

// TestIsShared checks that a shared folder must belong to root, and that users must not be
// able to remove the folders of others in it.
func TestIsShared(t *testing.T) {
	dir := t.TempDir()
	folder, file, link := filepath.Join(dir, "folder"), filepath.Join(dir, "file"), filepath.Join(dir, "link")
	err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(file, nil, 0o600), os.Symlink(folder, link))
	if err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	for _, tt := range []struct {
		path string
		mode os.FileMode
		want bool
	}{
		{folder, 0o777, false},
		{folder, 0o775 | os.ModeSticky, false},
		{folder, 0o776 | os.ModeSticky, false},
		{folder, 0o770 | os.ModeSticky, false},
		{folder, 0o773 | os.ModeSticky, root},
		{folder, 0o777 | os.ModeSticky, root},
		{link, 0o777 | os.ModeSticky, false},
		{file, 0o777 | os.ModeSticky, false},
	} {
		if err := os.Chmod(tt.path, tt.mode); err != nil {
			t.Fatal(err)
		}
		if got := IsShared(tt.path); got != tt.want {
			t.Errorf("%s, %s: %v", filepath.Base(tt.path), tt.mode, got)
		}
	}
	if !root {
		return
	}
	if err := os.Chown(folder, 4242, -1); err == nil && os.Chmod(folder, 0o777|os.ModeSticky) == nil && IsShared(folder) {
		t.Error("it is not root's")
	}
}
