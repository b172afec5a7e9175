//go:build unix

package edit

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/process"
)

// TestFolderLockedByOthers: everybody can open and lock /etc/sendoff. This prevents nobody
// from changing its files: the lock is on a file that only its owner can open, and that
// cannot be a link.
func TestFolderLockedByOthers(t *testing.T) {
	folder := t.TempDir()
	f, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	release, ok := process.LockFolder(folder, 0)
	if !ok {
		t.Fatal("a lock of the folder keeps others out")
	}
	files, _ := os.ReadDir(folder)
	if len(files) != 1 {
		t.Fatalf("there are %v", files)
	}
	if info, err := files[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("the lock: %v, %v", info.Mode(), err)
	}
	lock := filepath.Join(folder, files[0].Name())
	release()
	if _, err := os.Lstat(lock); err == nil {
		t.Error("the lock's file is left")
	}
	if err := os.Symlink(filepath.Join(folder, "elsewhere"), lock); err != nil {
		t.Fatal(err)
	}
	release, ok = process.LockFolder(folder, 0)
	release()
	if _, err := os.Lstat(filepath.Join(folder, "elsewhere")); err == nil || !ok {
		t.Errorf("a link was followed, or keeps others out: %v", ok)
	}
}

// TestFolderLockedOnce: many processes wait for the lock, and each removes the lock's file
// at its end. Nevertheless only one has the lock at a time.
func TestFolderLockedOnce(t *testing.T) {
	folder := t.TempDir()
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			release, ok := process.LockFolder(folder, time.Minute)
			if n := inside.Add(1); n != 1 || !ok {
				t.Errorf("%d have the lock; %v", n, ok)
			}
			time.Sleep(time.Millisecond)
			inside.Add(-1)
			release()
		})
	}
	all.Wait()
}

// TestSaveKeepsGroup: a group that can read the file can still read it after a change.
func TestSaveKeepsGroup(t *testing.T) {
	group := -1
	groups, _ := os.Getgroups()
	if os.Geteuid() == 0 {
		groups = append(groups, os.Getegid()+1)
	}
	for _, g := range groups {
		if g != os.Getegid() {
			group = g
		}
	}
	if group < 0 {
		t.Skip("this user has one group only")
	}
	file := only(filepath.Join(t.TempDir(), "config.toml"), "")
	if err := errors.Join(os.WriteFile(file.Path, nil, 0o600), os.Chown(file.Path, -1, group), os.Chmod(file.Path, 0o640), file.save(asFile)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; got != uint32(group) || info.Mode().Perm() != 0o640 {
		t.Errorf("it is group %d's, with mode %s; it was %d's", got, info.Mode(), group)
	}
}
