//go:build unix

package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sendoff/submit/process"
)

// Shared is the folder that holds a queue for each user, by the decimal uid.
const Shared = "/var/spool/sendoff"

// Open opens the queue of the user uid in folder, and makes it if there is
// none. A folder that is root's, sticky and open to all holds a queue for each
// user. What is not a real folder, the user's alone, is refused.
func Open(folder string, uid int) (*Queue, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if IsShared(folder) {
		folder = filepath.Join(folder, strconv.Itoa(uid))
	} else if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return nil, err
	}
	err = os.Mkdir(folder, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	made := err == nil
	q, err := open(folder, uid)
	if err != nil || !made {
		return q, err
	}
	return q, process.SyncFolder(filepath.Dir(folder)) // or a crash takes the queue with all that is in it
}

// Existing opens the queue that a user has in folder; it makes none.
func Existing(folder string, uid int) (*Queue, error) {
	if IsShared(folder) {
		folder = filepath.Join(folder, strconv.Itoa(uid))
	}
	return open(folder, uid)
}

// IsShared reports whether folder is a real folder of root's in which anybody
// can make a folder, but nobody can remove another's.
func IsShared(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.IsDir() && info.Mode()&os.ModeSticky != 0 && info.Mode().Perm()&0o003 == 0o003
}

// open opens folder, through no link, and judges what it has opened.
func open(folder string, uid int) (*Queue, error) {
	named, err := os.Lstat(folder)
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", folder)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil {
		st := opened.Sys().(*syscall.Stat_t)
		switch {
		case !os.SameFile(named, opened):
			err = fmt.Errorf("%s was replaced while it was opened", folder)
		case int(st.Uid) != uid:
			err = fmt.Errorf("%s belongs to uid %d, not to %d", folder, st.Uid, uid)
		case opened.Mode().Perm()&0o077 != 0:
			err = fmt.Errorf("%s can be used by others (mode %04o)", folder, opened.Mode().Perm())
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Queue{disk: rooted{root}, path: folder}, nil
}

// nonblock is for opening what may be a FIFO; the ways to lock a file.
const (
	nonblock  = syscall.O_NONBLOCK
	exclusive = unix.LOCK_EX
	shared    = unix.LOCK_SH
)

// flock takes the lock of f, if nobody has it in a way that excludes this one.
func flock(f *os.File, how int) (locked bool, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	controlErr := conn.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how|unix.LOCK_NB); err != unix.EINTR {
				return
			}
		}
	})
	if controlErr != nil {
		return false, controlErr
	}
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

// removed reports whether the folder that info is of has no name any more.
func removed(info os.FileInfo) bool { return info.Sys().(*syscall.Stat_t).Nlink == 0 }

// A User is one who has a folder in Shared.
type User struct{ UID, GID int }

// Users returns who has a queue in Shared, but for root, and what is wrong with
// folders there that are not what their names say.
func Users() (users []User, strange []error) {
	if !IsShared(Shared) {
		return nil, nil
	}
	entries, err := os.ReadDir(Shared)
	if err != nil {
		return nil, []error{err}
	}
	for _, entry := range entries {
		path := filepath.Join(Shared, entry.Name())
		uid, err := strconv.ParseUint(entry.Name(), 10, 31)
		if err != nil || strconv.FormatUint(uid, 10) != entry.Name() {
			strange = append(strange, fmt.Errorf("%q is no user's folder; skipped", path))
			continue
		}
		info, err := os.Lstat(path)
		if err != nil {
			continue // it has just gone
		}
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case !info.IsDir():
			strange = append(strange, fmt.Errorf("%s is not a folder; skipped", path))
		case st.Uid != uint32(uid):
			strange = append(strange, fmt.Errorf("%s belongs to uid %d; skipped", path, st.Uid))
		case uid != 0:
			users = append(users, User{int(uid), int(st.Gid)})
		}
	}
	return users, strange
}

// MakeShared makes Shared, and in it a folder for each of users. It changes
// nothing that is there and good.
func MakeShared(users []User) error {
	if err := os.Mkdir(Shared, 0o700); err == nil {
		if err := os.Chmod(Shared, 0o777|os.ModeSticky); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	if !IsShared(Shared) {
		return fmt.Errorf("%s is not root's, sticky and open to all (mode 1777); remove it first", Shared)
	}
	for _, u := range users {
		path := filepath.Join(Shared, strconv.Itoa(u.UID))
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Lchown(path, u.UID, u.GID)
		}
		if err != nil {
			return err
		}
	}
	return process.SyncFolder(Shared)
}
