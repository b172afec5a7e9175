package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// ErrNotRegular is the error of OpenRegular and Regular for a FIFO, a folder or a device.
var ErrNotRegular = errors.New("not a regular file")

// OpenRegular opens the regular file at path for reading. A FIFO in its place does
// not block the opening, and a file of another kind is not read, which might never end:
// the error is ErrNotRegular, else an *fs.PathError.
func OpenRegular(path string) (*os.File, error) {
	return Regular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}

// Regular returns f, which has been opened with O_NONBLOCK, if it is a regular file;
// else it closes f. err is that of the opening.
func Regular(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Replace replaces the file at path by text, or makes it, so that at every moment the
// old or the new one is there and whole; when Replace returns, the new one survives a
// crash. A file that is there keeps its owner and group where this process may give them.
// The mode 0 is that of a secret: 0600, and 0640 if the file's group could read it.
// pattern (os.CreateTemp) names the file while it is written.
func Replace(path, pattern string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), pattern) // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(text)
	if old, statErr := os.Stat(path); statErr == nil {
		LikeFile(f, old)
	}
	if mode != 0 {
		err = errors.Join(err, f.Chmod(mode))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder makes what came and went in folder survive a crash. Windows has no
// such call and needs none.
func SyncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// A LogFile is a file that lines are added to. Each goes into the file that has the
// name then, which logrotate may have renamed or removed meanwhile.
type LogFile struct {
	path string
	file *os.File
}

// OpenLog opens a file to append lines to, and makes it if there is none, for
// the user alone. It does not wait, not even for the reader of a FIFO.
func OpenLog(path string) (*LogFile, error) {
	file, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &LogFile{path, file}, nil
}

// Write opens the path anew. If it cannot, the text still goes into the old file.
func (l *LogFile) Write(text []byte) (int, error) {
	if file, err := openLog(l.path); err == nil {
		l.file.Close()
		l.file = file
	}
	return l.file.Write(text)
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
}
