package queue

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"sendoff/submit/process"
)

// A disk is the folder of a queue, as far as it is used. Names are of files in
// it, or with a folder's name and a slash before them, in a folder of it; ""
// is the queue's folder itself.
type disk interface {
	create(name string) (file, error) // a new file, or fs.ErrExist
	open(name string) (file, error)
	rename(from, to string) error
	remove(name string) error // nil if there is none
	mkdir(folder string) error
	list(folder string) ([]string, error)
	sync(folder string) error // what was created, renamed and removed in it survives

	// These need not survive a crash.
	read(name string) ([]byte, error)
	exists(name string) bool
	size(name string) int64
	modified(name string) time.Time // zero if it is not there
	space() (free, total int64)     // octets; 0 if it is not known
	changed() (time.Time, error)    // of the queue's folder
}

// A file is an open file.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	lock() (bool, error)   // false if somebody has the lock; closing gives it back
	locked() (bool, error) // whether somebody has it, without standing in the way of others who look
}

// rooted is the disk of the operating system. No link leads out of it.
type rooted struct{ root *os.Root }

type rootedFile struct{ *os.File }

func (f rootedFile) lock() (bool, error) { return process.Lock(f.File, process.Exclusive) }

func (f rootedFile) locked() (bool, error) {
	free, err := process.Lock(f.File, process.Shared)
	return !free, err
}

func (d rooted) create(name string) (file, error) {
	return asFile(d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600))
}

func (d rooted) open(name string) (file, error) {
	return asFile(d.regular(name, os.O_RDWR))
}

// regular opens a file that is nothing else: a FIFO would make us wait.
func (d rooted) regular(name string, mode int) (*os.File, error) {
	return process.Regular(d.root.OpenFile(name, mode|syscall.O_NONBLOCK, 0))
}

func asFile(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return rootedFile{f}, nil
}

func (d rooted) rename(from, to string) error { return d.root.Rename(from, to) }

func (d rooted) remove(name string) error {
	err := d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d rooted) mkdir(folder string) error {
	err := d.root.Mkdir(strings.TrimSuffix(folder, "/"), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.sync("")
}

func (d rooted) list(folder string) ([]string, error) {
	f, err := d.root.Open("./" + folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d rooted) sync(folder string) error {
	f, err := d.root.Open("./" + folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// maxRead is the size of the largest file that is read at once: an envelope of
// some hundred thousand recipients.
const maxRead = 64 << 20

func (d rooted) read(name string) ([]byte, error) {
	f, err := d.regular(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxRead:
		return nil, errors.New("too large")
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

func (d rooted) exists(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

func (d rooted) size(name string) int64 {
	info, err := d.root.Lstat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (d rooted) modified(name string) time.Time {
	info, err := d.root.Lstat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (d rooted) space() (free, total int64) { return space(d.root) }

// changed returns when something last came, went or was replaced, if the folder
// is still there: one that was removed has no name left.
func (d rooted) changed() (time.Time, error) {
	info, err := d.root.Stat(".")
	if err != nil {
		return time.Time{}, err
	}
	if removed(info) {
		return time.Time{}, fs.ErrNotExist
	}
	last := info.ModTime()
	if info, err := d.root.Stat(stateFolder); err == nil && info.ModTime().After(last) {
		last = info.ModTime()
	}
	return last, nil
}
