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

// Everybody can open /etc/sendoff, and lock what they have opened. That keeps nobody
// from changing what is in it: the lock is a file that only its owner can open, and
// it is no file that a link chooses.
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

// However many wait for it, and although its file goes with each of them, one at a
// time has the lock.
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

// A configuration that a group reads is still read by it when it was changed.
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
