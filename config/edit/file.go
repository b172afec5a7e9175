// Package edit changes a configuration file. All lines that it need not change stay as they
// are, and the new text replaces the file in one step.
//
//	Document ── AddTo ────────┐
//	                          ├─ a Change of the text ── Check ── File.Change ── the new file
//	Settings ── ChangeIn ─────┘
//
// A new text is written only if config.Load would accept it. From the reading of the old
// text to the end of the writing, the folder is locked. The package does not talk to
// people, and knows no secrets.
//
// Errors: status.Config if a text cannot be changed in this way, or if the new text is not
// a valid configuration; status.Temporary if a file cannot be written.
package edit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A File is a configuration file to be changed; it may be missing.
type File struct {
	Path    string
	Paths   config.Paths // the paths that config.Load reads, including Path
	Private bool         // the new file gets mode 0600
}

// A Change returns the new text for the text of a file; "" if the file is missing.
type Change func(text string) (string, error)

// Check returns the text that the change would make, and the configuration with this text.
// It writes nothing.
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

// lockTime is how long Change waits for another process that changes a file in the folder.
const lockTime = 10 * time.Second

// Change applies the change to the file, while no other process can change it. After the
// new text has been checked, and before it is written, Change calls first. If first returns
// an error, the file stays as it is.
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

// RemoveAccount removes an account from the file, and the file if nothing else is in it.
func (f File) RemoveAccount(name string) error {
	var left string
	err := f.Change(func(text string) (_ string, err error) {
		left, err = RemoveAccount(text, name)
		return left, err
	}, func() error { return nil })
	if err == nil && strings.TrimSpace(left) == "" {
		err = status.Temporary.Wrap(os.Remove(f.Path))
	}
	return err
}

// Writable returns an error if Change could not replace or create the file. It writes a
// temporary file in the folder; if the folder is missing, in the first folder above it that
// exists.
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
		err = e.Err // the path is only that of the temporary file
	}
	if err != nil {
		return status.Config.Errorf("%s cannot be written to: %w", f.Path, err)
	}
	return status.Config.Wrap(errors.Join(probe.Close(), os.Remove(probe.Name())))
}

// temporary is the pattern for the name of the file that is written first.
const temporary = ".config-*.toml"

// real returns the path of the file with all links followed, and the mode for its new text.
// A Private file gets 0600; an existing file keeps its mode; a new file gets 0600 below the
// user's home, and 0644 elsewhere.
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

// save replaces or creates the file. After it has returned nil, text is on the disk. After
// an error the old text is still there, unless only the sync of the folder has failed. An
// existing file keeps its mode; links are followed.
func (f File) save(text string) error {
	path, mode := f.real()
	return status.Temporary.Wrap(process.Replace(path, temporary, []byte(text), mode))
}

// makeFolder makes folder and all missing folders above it. They get this mode, whatever
// the umask is.
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
