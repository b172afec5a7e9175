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

// Shared is the folder that holds a queue for each user, by the decimal uid. Only
// tests change it.
var Shared = "/var/spool/sendoff"

// Open opens the queue of the user uid in folder, and makes it if there is
// none. A folder that is root's, sticky and open to all holds a queue for each
// user: UID, or UID.RANDOM where somebody else has taken that name. What is not a
// real folder, the user's alone, is refused.
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
	return q, process.SyncFolder(filepath.Dir(folder)) // or a crash takes the queue with all that is in it
}

// openShare is Open for a folder of all.
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

// owns reports whether what is at path belongs to that user. If not, another user
// has taken the name, though perhaps only for a moment.
func owns(path string, uid int) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(uid)
}

// Existing opens the queue that a user has in folder; it makes none.
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

// Shares opens all queues that a user has in Shared. Without an error there is one.
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

// underOtherNames opens the queues that a user has in folder as UID.RANDOM.
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

// openFolder opens folder. If a FIFO has taken the folder's place since Lstat, an
// open would wait for a writer; the dot, which only a folder has, makes it fail.
func openFolder(folder string) (*os.Root, error) { return os.OpenRoot(folder + "/.") }

// removed reports whether the folder that info is of has no name any more.
func removed(info os.FileInfo) bool { return info.Sys().(*syscall.Stat_t).Nlink == 0 }

// Users returns who has a queue in Shared, but for root. skipped counts the names
// in Shared that are no user's folders, and shows some of them; nil if there is
// none.
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

// ownerOf returns whose folder a name in Shared is: UID or UID.RANDOM, and that
// user's.
func ownerOf(name string) (uid int, ok bool) {
	first, _, _ := strings.Cut(name, ".")
	n, err := strconv.ParseUint(first, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != first {
		return 0, false
	}
	info, err := os.Lstat(filepath.Join(Shared, name))
	if err != nil {
		return 0, true // it has just gone
	}
	return int(n), info.IsDir() && info.Sys().(*syscall.Stat_t).Uid == uint32(n)
}

// oddNames counts names, and shows a few of them.
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

// MakeShared makes Shared, and in it a folder for each of users. It changes
// nothing that is there and good; what has the name of a user's folder and is not
// that user's is moved away, to the names that it returns.
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

// movedName is how the names begin that moveAway gives.
const movedName = "moved-"

// moveAway gives what is at path, in Shared, a name that is no user's.
func moveAway(path string) (away string, err error) {
	away = filepath.Join(Shared, movedName+filepath.Base(path)+"-"+rand.Text()[:8])
	return away, os.Rename(path, away)
}

// timerFile is root's note, in Shared, of a timer that runs all queues there.
const timerFile = ".timer"

// MarkTimer keeps root's note of a timer, for everybody to read.
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
		if err = os.Rename(f.Name(), path); err != nil { // somebody has made a folder of that name
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

// TimerMark returns root's note of a timer for the queue q; nothing if there is
// none, or if it may be somebody else's.
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
