//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func openTest(t *testing.T, sub string) (d *Folder, path string) {
	t.Helper()
	path = t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return In(root, sub), filepath.Join(path, sub)
}

// TestFolder tests that a text is read as it was written, in a new and an old folder.
func TestFolder(t *testing.T) {
	for _, sub := range []string{".", "account"} {
		d, _ := openTest(t, sub)
		if text, names := d.Read("work"), d.List(); text != nil || names != nil {
			t.Errorf("%s: %q %q", sub, text, names)
		}
		if locked, err := d.Locked("slot"); sub != "." && (locked || err != nil) {
			t.Errorf("%s: %v %v", sub, locked, err)
		}
		if err := errors.Join(d.Write("work", nil), d.Write("work", []byte("down\n"))); err != nil || string(d.Read("work")) != "down\n" {
			t.Errorf("%s: %q, %v", sub, d.Read("work"), err)
		}
		if err := d.Overwrite("work", []byte("up")); err != nil || string(d.Read("work")) != "up" {
			t.Errorf("%s: %q, %v", sub, d.Read("work"), err)
		}
		if err := d.Overwrite("home", []byte("up")); err != nil || string(d.Read("home")) != "up" {
			t.Errorf("%s: %q, %v", sub, d.Read("home"), err)
		}
		if names := d.List(); len(names) != 2 {
			t.Errorf("%s: %q", sub, names)
		}
	}
}

// TestNone tests that a nil Folder keeps nothing, and that its locks are free.
func TestNone(t *testing.T) {
	var d *Folder
	release, err := d.Lock("slot")
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := errors.Join(d.Write("work", []byte("x")), d.Overwrite("work", []byte("x"))); err != nil || d.Read("work") != nil || d.List() != nil {
		t.Errorf("%q %q, %v", d.Read("work"), d.List(), err)
	}
	if locked, err := d.Locked("slot"); locked || err != nil {
		t.Errorf("%v %v", locked, err)
	}
	d.Sweep()
}

// TestUnfinished tests that an unfinished text of a killed process, which may contain a
// valid token, is removed with the text, or when it is old.
func TestUnfinished(t *testing.T) {
	d, path := openTest(t, ".")
	stray := func(age time.Duration) string {
		t.Helper()
		name := filepath.Join(path, "token-1.ABC")
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(name, []byte("an old token"), 0o600), os.Chtimes(name, at, at), d.Write("token-1", []byte("token"))); err != nil {
			t.Fatal(err)
		}
		return name
	}
	isLeft := func(name string) bool {
		_, err := os.Lstat(name)
		return err == nil
	}
	name := stray(0)
	if d.Sweep(); !isLeft(name) || !slices.Equal(d.List(), []string{"token-1"}) {
		t.Errorf("somebody writes it; there are %q", d.List())
	}
	if err := d.Write("token-1", nil); err != nil || isLeft(name) || d.Read("token-1") != nil {
		t.Errorf("something is left of a text that is forgotten; %v", err)
	}
	name = stray(2 * maxUnfinished)
	if d.Sweep(); isLeft(name) || string(d.Read("token-1")) != "token" {
		t.Errorf("an old one is left; the text is %q", d.Read("token-1"))
	}
}

// TestWriteFails tests that Write leaves no unfinished text if it cannot replace a file.
func TestWriteFails(t *testing.T) {
	d, path := openTest(t, "account")
	if err := os.MkdirAll(filepath.Join(path, "work", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Write("work", []byte("down\n")); err == nil {
		t.Error("it was written into a folder")
	}
	if names := d.names(); !slices.Equal(names, []string{"work"}) {
		t.Errorf("left: %q", names)
	}
}

// TestLockMadeMeanwhile tests that a lock whose file exists can be taken if no process
// has it.
func TestLockMadeMeanwhile(t *testing.T) {
	d, _ := openTest(t, "account")
	release, err := d.Lock("runner")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock("runner"); !errors.Is(err, ErrBusy) {
		t.Errorf("somebody has it: %v", err)
	}
	release()
	if release, err = d.Lock("runner"); err != nil {
		t.Fatalf("nobody has it: %v", err)
	}
	release()
}

// TestLockWhileSwept takes a lock in many goroutines while it is swept again and again.
// No process may hold a lock whose file was removed, because another process could take
// a new lock of the same name.
func TestLockWhileSwept(t *testing.T) {
	d, path := openTest(t, "account")
	const name = "slot-1-0"
	var holders atomic.Int32
	var takers, sweeper sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			for n := 0; n < 80; {
				release, err := d.Lock(name)
				if errors.Is(err, ErrBusy) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n++; holders.Add(1) != 1 {
					t.Error("two have it")
				}
				time.Sleep(time.Microsecond)
				holders.Add(-1)
				release()
			}
		})
	}
	done := make(chan struct{})
	sweeper.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				d.sweepLock(name)
			}
		}
	})
	takers.Wait()
	close(done)
	sweeper.Wait()

	release, err := d.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if d.sweepLock(name); !slices.Equal(d.List(), []string{name}) {
		t.Error("one that somebody has was swept")
	}
	f, err := os.Open(filepath.Join(path, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if again, err := d.Lock(name); err != nil {
		t.Errorf("a lock without a name stands in the way: %v", err)
	} else {
		again()
	}
}

// TestFIFO tests that nothing blocks on a FIFO in the place of a file.
func TestFIFO(t *testing.T) {
	d, path := openTest(t, ".")
	if err := syscall.Mkfifo(filepath.Join(path, "work"), 0o600); err != nil {
		t.Skip(err)
	}
	if text := d.Read("work"); text != nil {
		t.Errorf("%q", text)
	}
	if _, err := d.Lock("work"); err == nil || errors.Is(err, ErrBusy) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("locked: %v", err)
	}
}
