// Package edit changes a configuration file of which every other line stays, and
// replaces it whole.
//
//	Document ── AddTo ────────┐
//	                          ├─ a Change of the text ── Check ── File.Change ── the new file
//	Settings ── ChangeIn ─────┘
//
// A file is only replaced by a text that config.Load takes, under a lock of its
// folder, from the reading of the old text on. It knows nothing of people, nor of
// secrets.
//
// Errors: a text that cannot be changed so, or that would be no configuration, is of
// kind status.Config; a file that cannot be written is of kind status.Temporary.
package edit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A File is a configuration file that is to be changed, and need not be there yet.
type File struct {
	Path    string
	Paths   config.Paths // what is loaded, Path among it
	Private bool         // only its owner may read the new text
}

// A Change makes a new text of the text of a file, "" if the file is not there.
type Change func(text string) (string, error)

// Check returns the text that the change would make, and the configuration with that.
// Nothing is written.
func (f File) Check(change Change) (string, *config.Config, error) {
	before, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, status.Config.Wrap(err)
	}
	text, err := change(string(before))
	if err != nil {
		return "", nil, status.Config.Errorf("%s: %w", f.Path, err)
	}
	c, err := config.Check(f.Paths, f.Path, text)
	return text, c, err
}

// lockTime is how long another process may take to change the file.
const lockTime = 10 * time.Second

// Change replaces the file by what the change makes of its text, while no other
// process changes it. When the new text is known to be good, and before it is
// written, first is called, whose error leaves the file as it is.
func (f File) Change(change Change, first func() error) error {
	folder, err := f.MakeFolder()
	if err != nil {
		return err
	}
	release, ok := process.LockFolder(folder, lockTime)
	defer release()
	if !ok {
		return status.Temporary.Errorf("%s is not changed: another process has locked its folder for %v", f.Path, lockTime)
	}
	text, _, err := f.Check(change)
	if err == nil {
		err = first()
	}
	if err == nil {
		err = f.save(text)
	}
	return err
}

// Writable finds out whether Change could replace the file, and would be let into
// its folder, or into the one in which that is to be made.
func (f File) Writable() error {
	path, _ := f.real()
	if process.IsMountPoint(path) {
		return status.Config.Errorf("%s cannot be written to: it is a mount of this one file, which cannot be replaced: mount its folder", f.Path)
	}
	folder := filepath.Dir(path)
	for {
		_, err := os.Stat(folder)
		if up := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && up != folder {
			folder = up
			continue
		}
		break
	}
	probe, err := os.CreateTemp(folder, temporary)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // its path is a name that was only tried
	}
	if err != nil {
		return status.Config.Errorf("%s cannot be written to: %w", f.Path, err)
	}
	return status.Config.Wrap(errors.Join(probe.Close(), os.Remove(probe.Name())))
}

// temporary is the name of a file that is not whole yet.
const temporary = ".config-*.toml"

// real returns the path of the file behind all links, and the mode that its text is
// to have: 0600 if it is private, else that of a file that is there; of a new one 0600
// below the user's home, and 0644 elsewhere.
func (f File) real() (path string, mode fs.FileMode) {
	path, mode = f.Path, 0o644
	if below, err := filepath.Rel(f.Paths.Home, path); f.Paths.Home != "" && err == nil && filepath.IsLocal(below) {
		mode = 0o600
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if f.Private {
		mode = 0o600
	}
	return path, mode
}

// MakeFolder returns the file's folder, and makes it if it is missing.
func (f File) MakeFolder() (string, error) {
	path, mode := f.real()
	folder := filepath.Dir(path)
	return folder, status.Temporary.Wrap(makeFolder(folder, mode|mode&0o444>>2))
}

// save replaces the file by text, or makes it. When it returns nil, text is on the
// disk; else the old text is still there, unless only the sync of the folder failed.
// A file that is there keeps its mode, and a link is followed.
func (f File) save(text string) error {
	path, mode := f.real()
	return status.Temporary.Wrap(process.Replace(path, temporary, []byte(text), mode))
}

// makeFolder makes folder and those above it that are missing, with that mode
// whatever the umask is.
func makeFolder(folder string, mode fs.FileMode) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if err := makeFolder(filepath.Dir(folder), mode); err != nil {
		return err
	}
	if err := os.Mkdir(folder, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(folder, mode); err != nil {
		return err
	}
	return process.SyncFolder(filepath.Dir(folder))
}
