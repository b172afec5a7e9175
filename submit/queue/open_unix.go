//go:build unix

package queue

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sendoff/submit/process"
	"sendoff/submit/state"
)

// Shared is the folder that holds a queue for each user, named by the decimal uid. Only
// tests change it.
var Shared = "/var/spool/sendoff"

// Unsupported says why this system has no queues; "": it has.
const Unsupported = ""

// Open opens the queue of the user uid, and makes it if there is none. The queue is
// folder, or, if IsShared(folder), a folder in it: UID, or UID.RANDOM if another user has
// taken the first name. Open refuses a queue that is no real folder, that belongs to
// another user, or that other users may use.
func Open(folder string, uid int) (*Queue, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if IsShared(folder) {
		return openShare(folder, uid)
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
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
	return q, process.SyncFolder(filepath.Dir(folder)) // or a crash could remove the whole queue
}

// openShare is Open for a shared folder.
func openShare(folder string, uid int) (*Queue, error) {
	q, err := Existing(folder, uid)
	if err == nil {
		return q, nil
	}
	path := filepath.Join(folder, strconv.Itoa(uid))
	if errors.Is(err, os.ErrNotExist) {
		os.Mkdir(path, 0o700)
		q, err = open(path, uid)
	}
	if err != nil && !owns(path, uid) {
		if path, err = os.MkdirTemp(folder, strconv.Itoa(uid)+"."); err == nil {
			q, err = open(path, uid)
		}
	}
	if err != nil {
		return nil, err
	}
	return q, process.SyncFolder(folder)
}

// owns reports whether the file or folder at path belongs to the user uid.
func owns(path string, uid int) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(uid)
}

// Existing is Open for a queue that exists: it makes none.
func Existing(folder string, uid int) (*Queue, error) {
	if !IsShared(folder) {
		return open(folder, uid)
	}
	path := filepath.Join(folder, strconv.Itoa(uid))
	q, err := open(path, uid)
	if err != nil && !owns(path, uid) {
		if others, _ := underOtherNames(folder, uid); len(others) > 0 {
			return others[0], nil
		}
	}
	return q, err
}

// Shares opens all queues of a user in Shared, at least one if the error is nil.
func Shares(uid int) ([]*Queue, error) {
	first, err := open(filepath.Join(Shared, strconv.Itoa(uid)), uid)
	others, errOthers := underOtherNames(Shared, uid)
	if err == nil {
		return append([]*Queue{first}, others...), nil
	}
	if len(others) == 0 {
		return nil, errors.Join(err, errOthers)
	}
	return others, nil
}

// underOtherNames opens the queues of a user in folder that are named UID.RANDOM.
func underOtherNames(folder string, uid int) (queues []*Queue, err error) {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		if first, _, second := strings.Cut(entry.Name(), "."); !second || first != strconv.Itoa(uid) {
			continue
		}
		if q, err := open(filepath.Join(folder, entry.Name()), uid); err == nil {
			queues = append(queues, q)
		}
	}
	return queues, err
}

// IsShared reports whether folder holds a queue for each user: it belongs to root, every
// user may make folders in it, and no user may remove those of others (mode 1777).
func IsShared(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.IsDir() && info.Mode()&os.ModeSticky != 0 && info.Mode().Perm()&0o003 == 0o003
}

// open opens folder, which must not be a symbolic link, and checks its owner and mode.
func open(folder string, uid int) (*Queue, error) {
	named, err := os.Lstat(folder)
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", folder)
	}
	root, err := openFolder(folder)
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
	return &Queue{State: state.In(root, stateFolder), disk: rooted{root}, path: folder}, nil
}

// openFolder opens folder. Without "/." it would block if a FIFO has replaced the folder
// since Lstat.
func openFolder(folder string) (*os.Root, error) { return os.OpenRoot(folder + "/.") }

// removed reports whether the folder of info was removed after it was opened.
func removed(info os.FileInfo) bool { return info.Sys().(*syscall.Stat_t).Nlink == 0 }

// Users returns the users who have a queue in Shared, without root. skipped gives the
// number and some examples of the names in Shared that are no folder of their user; nil if
// there are none.
func Users() (users []User, skipped error) {
	if !IsShared(Shared) {
		return nil, nil
	}
	entries, err := os.ReadDir(Shared)
	if err != nil {
		return nil, err
	}
	var strange []string
	seen := make(map[int]bool)
	for _, entry := range entries {
		uid, ok := ownerOf(entry.Name())
		switch {
		case entry.Name() == timerFile, strings.HasPrefix(entry.Name(), movedName):
		case !ok:
			strange = append(strange, entry.Name())
		case uid != 0 && !seen[uid]:
			seen[uid] = true
			users = append(users, User{UID: uid})
		}
	}
	return users, oddNames(strange)
}

// ownerOf returns the uid in a name in Shared, UID or UID.RANDOM. ok is false if the name
// is another, or if the folder does not belong to that user. It returns 0, true if the
// folder has just been removed.
func ownerOf(name string) (uid int, ok bool) {
	first, _, _ := strings.Cut(name, ".")
	n, err := strconv.ParseUint(first, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != first {
		return 0, false
	}
	info, err := os.Lstat(filepath.Join(Shared, name))
	if err != nil {
		return 0, true
	}
	return int(n), info.IsDir() && info.Sys().(*syscall.Stat_t).Uid == uint32(n)
}

// oddNames returns an error with the number of names and a few of them; nil if there are
// none.
func oddNames(names []string) error {
	const shown = 3
	if len(names) == 0 {
		return nil
	}
	more := ""
	if n := len(names) - shown; n > 0 {
		names, more = names[:shown], fmt.Sprintf(" and %d more", n)
	}
	examples := strings.Trim(fmt.Sprintf("%q", names), "[]")
	return fmt.Errorf("in %s, skipped because they are not folders of the users they name: %s%s", Shared, examples, more)
}

// MakeShared makes Shared, and in it a folder for each of users. It does not change
// folders that are right. If something else has the name of a user's folder, MakeShared
// renames it, and reports "PATH to NEW-PATH" in moved.
func MakeShared(users []User) (moved []string, err error) {
	if err := os.Mkdir(Shared, 0o700); err == nil {
		if err := os.Chmod(Shared, 0o777|os.ModeSticky); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if !IsShared(Shared) {
		return nil, fmt.Errorf("%s is not root's, sticky and open to all (mode 1777); remove it first", Shared)
	}
	for _, u := range users {
		path := filepath.Join(Shared, strconv.Itoa(u.UID))
		if info, err := os.Lstat(path); err == nil && (!info.IsDir() || !owns(path, u.UID)) {
			away, err := moveAway(path)
			if err != nil {
				return moved, err
			}
			moved = append(moved, path+" to "+away)
		}
		if others, _ := underOtherNames(Shared, u.UID); len(others) > 0 {
			continue
		}
		err = os.Mkdir(path, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Lchown(path, u.UID, u.GID)
		}
		if err != nil {
			return moved, err
		}
	}
	return moved, process.SyncFolder(Shared)
}

// movedName is the start of the names that moveAway gives.
const movedName = "moved-"

// moveAway gives the file or folder path in Shared a new name that no user's folder has.
func moveAway(path string) (away string, err error) {
	away = filepath.Join(Shared, movedName+filepath.Base(path)+"-"+rand.Text()[:8])
	return away, os.Rename(path, away)
}

// timerFile is a file in Shared, in which root notes that a timer runs all queues there.
const timerFile = ".timer"

// MarkTimer writes text to timerFile, for every user to read. Only root may call it. It
// does nothing if Shared is not a shared folder.
func MarkTimer(text []byte) error {
	if !IsShared(Shared) {
		return nil
	}
	path := filepath.Join(Shared, timerFile)
	f, err := os.OpenFile(path+rand.Text(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		if err = os.Rename(f.Name(), path); err != nil { // a user has made a folder of that name
			if _, err = moveAway(path); err == nil {
				err = os.Rename(f.Name(), path)
			}
		}
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// TimerMark returns the text of MarkTimer; nil if there is none, if q is not in Shared, or
// if another user than root may have written the text.
func (q *Queue) TimerMark() []byte {
	if filepath.Dir(q.path) != Shared || !IsShared(Shared) {
		return nil
	}
	f, err := process.Regular(os.OpenFile(filepath.Join(Shared, timerFile), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(f, 100))
	return text
}
