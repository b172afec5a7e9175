package queue

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"syscall"
	"time"

	"sendoff/submit/process"
)

// A disk has the operations of package queue on the folder of a queue. A name is NAME for
// a file in this folder, or FOLDER/NAME for a file in a folder of it. A folder is FOLDER/,
// or "" for the folder of the queue.
type disk interface {
	create(name string) (file, error) // a new file; fs.ErrExist if name exists
	open(name string) (file, error)
	rename(from, to string) error
	remove(name string) error // nil if there is no such file
	mkdir(folder string) error
	list(folder string) iter.Seq2[string, error] // names in any order; an error ends the sequence
	syncFiles(f, also file) error                // both at once; also may be nil
	sync(folder string) error                    // then all changes of names in folder survive a crash

	// These change nothing.
	read(name string) ([]byte, error)
	exists(name string) bool
	size(name string) int64         // 0 if there is no such file
	modified(name string) time.Time // zero if there is no such file
	space() (free, total int64)     // octets; 0, 0 if unknown
	changed() (time.Time, error)    // see Queue.Changed
}

// A file is an open file.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	lock() (bool, error)   // takes the lock until Close; false if another process has the lock
	locked() (bool, error) // true if another process has the lock; several processes may ask at once
}

// rooted is the disk of the operating system. Names cannot lead out of root, even through
// symbolic links.
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

// regular opens a regular file, and returns an error for any other: a FIFO would block.
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

func (d rooted) list(folder string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := d.root.Open("./" + folder)
		if err != nil {
			yield("", err)
			return
		}
		defer f.Close()
		for err == nil {
			var names []string
			names, err = f.Readdirnames(1000)
			for _, name := range names {
				if !yield(name, nil) {
					return
				}
			}
		}
		if err != io.EOF {
			yield("", err)
		}
	}
}

func (d rooted) syncFiles(f, also file) error {
	if also == nil {
		return f.Sync()
	}
	done := make(chan error)
	go func() { done <- also.Sync() }()
	err := f.Sync()
	return cmp.Or(<-done, err)
}

func (d rooted) sync(folder string) error {
	f, err := d.root.Open("./" + folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// maxRead limits the octets of a file that is read into memory. An envelope with some
// hundred thousand recipients fits.
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

// changed returns when a file in the folder, or in its state folder, was last made,
// removed or replaced. It returns fs.ErrNotExist if the folder was removed since root was
// opened.
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
