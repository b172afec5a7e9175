// Package state keeps small texts and locks that all processes of a user share, in the
// files of a folder. A text is, for example, a fault or a token.
//
//	NAME          a text
//	NAME          a lock: an empty file, locked with flock(2) while a process has it
//	NAME.RANDOM   a text that is being written, or was when its process was killed
//
// No file must survive a crash of the system, so none is synced. A name with a hyphen
// belongs to an account or a secret. Nobody says when such a name is no longer needed:
// Sweep removes the files that were not used for a long time.
//
// The package does not know what the texts mean, or whose folder it is.
//
// Errors: ErrBusy if another process has the lock; all others are the operating
// system's.
package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"sendoff/submit/process"
)

// ErrBusy is the error of Lock if the lock is taken.
var ErrBusy = errors.New("another process is working on it")

// The ages after which Sweep removes a file.
const (
	maxUnfinished = time.Minute // NAME.RANDOM
	maxLock       = 24 * time.Hour
	maxText       = 7 * 24 * time.Hour
)

// maxRead is how much of a text is read, in octets. The longest text is a token in JSON.
const maxRead = 1 << 20

// A Folder holds texts and locks. A nil Folder keeps no text, and all its locks are
// free.
type Folder struct {
	root *os.Root
	sub  string // the folder's name in root, with a slash at the end
}

// In returns the Folder sub in root; sub is "." or a name. The first text or lock
// creates the folder.
func In(root *os.Root, sub string) *Folder { return &Folder{root, sub + "/"} }

// Read returns the text with that name; nil: there is none, or it cannot be read.
func (d *Folder) Read(name string) []byte {
	if d == nil {
		return nil
	}
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRead))
	if err != nil {
		return nil
	}
	return text
}

// Write writes the text with that name. A reader sees the old text or the new one, never
// a part. The name must be valid for a file, without a dot. An empty text removes the
// file, with the unfinished texts that killed processes have left for the name.
func (d *Folder) Write(name string, text []byte) error {
	switch {
	case d == nil:
		return nil
	case len(text) == 0:
		return d.forget(name)
	}
	unfinished := d.sub + name + "." + rand.Text()
	err := d.inFolder(func() error { return d.root.WriteFile(unfinished, text, 0o600) })
	if err == nil {
		err = d.root.Rename(unfinished, d.sub+name)
	}
	if err != nil {
		d.root.Remove(unfinished)
	}
	return err
}

// forget removes the text or lock of name, and the unfinished texts for it.
func (d *Folder) forget(name string) error {
	for _, n := range d.names() {
		if strings.HasPrefix(n, name+".") {
			d.root.Remove(d.sub + n)
		}
	}
	if err := d.root.Remove(d.sub + name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Overwrite is Write into the existing file, so that a process which watches the folder
// sees no change. A reader may see a part of the new text.
func (d *Folder) Overwrite(name string, text []byte) error {
	if d == nil {
		return nil
	}
	f, err := d.open(name, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return d.Write(name, text)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.WriteAt(text, 0); err == nil {
		err = f.Truncate(int64(len(text)))
	}
	return err
}

// List returns the names of all texts and locks, in any order.
func (d *Folder) List() []string {
	if d == nil {
		return nil
	}
	var names []string
	for _, name := range d.names() {
		if !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// names returns the names of all files, unfinished texts too; after an error, those it
// could read.
func (d *Folder) names() []string {
	f, err := d.root.Open("./" + d.sub)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}

// Lock takes the lock with that name. The error is ErrBusy if the lock is taken. The
// process holds the lock until it calls release, or ends.
func (d *Folder) Lock(name string) (release func(), err error) {
	if d == nil {
		return func() {}, nil
	}
	for {
		f, err := d.take(name)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", d.sub, name, err)
		}
		if d.isNamed(name, f) {
			return func() { f.Close() }, nil
		}
		f.Close() // Sweep has removed the file between its opening and its locking
	}
}

// LockWithin is Lock, but waits up to patience for the lock. It is for locks that others
// hold only for a moment.
func (d *Folder) LockWithin(name string, patience time.Duration) (release func(), err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		release, err = d.Lock(name)
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			return release, err
		}
	}
}

// take opens and locks the file of name, and creates it if there is none.
func (d *Folder) take(name string) (f *os.File, err error) {
	err = d.inFolder(func() error {
		f, err = d.open(name, os.O_RDWR|os.O_CREATE)
		return err
	})
	if err != nil {
		return nil, err
	}
	locked, err := process.Lock(f, process.Exclusive)
	if err == nil && !locked {
		err = ErrBusy
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// isNamed reports whether f is still the file of that name. If not, another process may
// create and lock a new file, so that a lock on f means nothing.
func (d *Folder) isNamed(name string, f *os.File) bool {
	named, err := d.root.Lstat(d.sub + name)
	opened, errOpened := f.Stat()
	return err == nil && errOpened == nil && os.SameFile(named, opened)
}

// Locked reports whether the lock with that name is taken. Several processes may call
// it at the same time. It returns an error if the lock cannot be looked at: then no
// process of the user could take it either.
func (d *Folder) Locked(name string) (bool, error) {
	if d == nil {
		return false, nil
	}
	f, err := d.open(name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return false, d.makeFolder()
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	free, err := process.Lock(f, process.Shared)
	return !free && err == nil, err
}

// Sweep removes old texts and locks of names with a hyphen, and unfinished texts that
// killed processes have left.
func (d *Folder) Sweep() {
	if d == nil {
		return
	}
	for _, name := range d.names() {
		info, err := d.root.Lstat(d.sub + name)
		if err != nil {
			continue
		}
		switch age, lock := time.Since(info.ModTime()), info.Size() == 0; {
		case strings.Contains(name, "."):
			if age > maxUnfinished {
				d.root.Remove(d.sub + name)
			}
		case !strings.Contains(name, "-"):
		case lock && age > maxLock:
			d.sweepLock(name)
		case !lock && age > maxText:
			d.root.Remove(d.sub + name)
		}
	}
}

// sweepLock removes a lock, unless a process has it.
func (d *Folder) sweepLock(name string) {
	f, err := d.take(name)
	if err != nil {
		return
	}
	defer f.Close()
	if d.isNamed(name, f) {
		d.root.Remove(d.sub + name)
	}
}

// inFolder calls create, which creates a file in the folder. If the folder is missing,
// inFolder makes it and calls create again.
func (d *Folder) inFolder(create func() error) error {
	err := create()
	if errors.Is(err, fs.ErrNotExist) && d.makeFolder() == nil {
		err = create()
	}
	return err
}

func (d *Folder) makeFolder() error {
	err := d.root.Mkdir(strings.TrimSuffix(d.sub, "/"), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// open opens a regular file; anything else is an error. It does not block on a FIFO.
func (d *Folder) open(name string, mode int) (*os.File, error) {
	return process.Regular(d.root.OpenFile(d.sub+name, mode|syscall.O_NONBLOCK, 0o600))
}
