// Package state keeps what all processes of a user know for a while, in the files
// of a folder: small texts, such as a fault or a token, and locks.
//
//	NAME          a text: replaced at once, or written over
//	NAME          a lock: an empty file, locked while somebody has it
//	NAME.RANDOM   a text while it is written; whoever was killed leaves it
//
// Nothing here need survive a crash, so nothing is synced. Nobody says when a
// name with a hyphen in it, which is an account's or a secret's, is used no more:
// Sweep removes those that nobody has used for long.
//
// The package does not know what the texts mean, nor whose folder it is.
//
// Errors: ErrBusy where somebody has the lock; else the operating system's.
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

// ErrBusy is the error of a lock that somebody has.
var ErrBusy = errors.New("somebody else is at work on it")

// How old a file has to be for Sweep to remove it.
const (
	maxUnfinished = time.Minute
	maxLock       = 24 * time.Hour
	maxText       = 7 * 24 * time.Hour
)

// maxRead is how much of a text is read, in octets: the longest token, in JSON.
const maxRead = 1 << 20

// A Folder is one that holds states. A nil Folder keeps nothing, and all its locks
// are free.
type Folder struct {
	root *os.Root
	sub  string // in root, with a slash behind it
}

// In returns the Folder at sub, "." or a name, in root. It is made when something
// is to be kept in it.
func In(root *os.Root, sub string) *Folder { return &Folder{root, sub + "/"} }

// Read returns the text of name, or nothing if there is none.
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

// Write makes text that of name, which must be fit for a file and without a dot,
// for a reader at once or not at all. An empty text is forgotten, with all that
// processes which were killed have left of others.
func (d *Folder) Write(name string, text []byte) error {
	switch {
	case d == nil:
		return nil
	case len(text) == 0:
		return d.forget(name)
	}
	unfinished := d.sub + name + "." + rand.Text()
	err := d.made(func() error { return d.root.WriteFile(unfinished, text, 0o600) })
	if err == nil {
		err = d.root.Rename(unfinished, d.sub+name)
	}
	if err != nil {
		d.root.Remove(unfinished)
	}
	return err
}

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

// Overwrite is Write into the file that is there, so that the folder does not
// change. Whoever reads the text meanwhile may find it broken.
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

// List returns the names of all texts and locks, in no order.
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

// names returns the names of all files, as far as they can be read.
func (d *Folder) names() []string {
	f, err := d.root.Open("./" + d.sub)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return names
}

// Lock takes the lock that name stands for: ErrBusy if somebody has it. It is held
// until it is released or the process ends.
func (d *Folder) Lock(name string) (release func(), err error) {
	if d == nil {
		return func() {}, nil
	}
	for {
		f, err := d.take(name)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", d.sub, name, err)
		}
		if d.has(name, f) {
			return func() { f.Close() }, nil
		}
		f.Close() // it was swept before it was locked
	}
}

// LockWithin is Lock for a lock that others hold for a moment only: it waits for
// them, up to patience.
func (d *Folder) LockWithin(name string, patience time.Duration) (release func(), err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		release, err = d.Lock(name)
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			return release, err
		}
	}
}

// take locks the file of name, which it makes if there is none.
func (d *Folder) take(name string) (f *os.File, err error) {
	err = d.made(func() error {
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

// has reports whether f is still the file of that name.
func (d *Folder) has(name string, f *os.File) bool {
	named, err := d.root.Lstat(d.sub + name)
	opened, errOpened := f.Stat()
	return err == nil && errOpened == nil && os.SameFile(named, opened)
}

// Locked reports whether somebody has the lock that name stands for, without
// standing in the way of others who look; and an error if that cannot be known,
// because nobody could take it.
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

// Sweep removes what nobody has used for long, and what processes that were killed
// have left.
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

// sweepLock removes a lock that nobody has.
func (d *Folder) sweepLock(name string) {
	f, err := d.take(name)
	if err != nil {
		return
	}
	defer f.Close()
	if d.has(name, f) {
		d.root.Remove(d.sub + name)
	}
}

// made calls f, which makes a file, and again if it was the folder that was
// missing.
func (d *Folder) made(f func() error) error {
	err := f()
	if errors.Is(err, fs.ErrNotExist) && d.makeFolder() == nil {
		err = f()
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

// open opens a regular file. A FIFO in its place does not block the opening.
func (d *Folder) open(name string, mode int) (*os.File, error) {
	return process.Regular(d.root.OpenFile(d.sub+name, mode|syscall.O_NONBLOCK, 0o600))
}
