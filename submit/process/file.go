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

// OpenRegular opens the regular file at path for reading. For a FIFO, a folder or a device
// the error is ErrNotRegular: a FIFO would block, and a device may have no end. Any other
// error is an *fs.PathError.
func OpenRegular(path string) (*os.File, error) {
	return Regular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}

// Regular takes the results of an os.OpenFile with O_NONBLOCK. It returns f if f is a
// regular file; otherwise it closes f, and the error is ErrNotRegular, or err.
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

// Replace replaces the file at path by one with text, or creates it. At every moment either
// the old or the new file is there, and whole; when Replace returns nil, the new file
// survives a crash. The new file has the owner and the group of the old one if this process
// may set them. Mode 0 stands for the mode of a secret: 0600, but 0640 if the group could
// read the old file. The file that is written first has a name by pattern (os.CreateTemp).
func Replace(path, pattern string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), pattern) // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the Rename below
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

// SyncFolder makes the entries of folder survive a crash: new, renamed and removed files.
// Windows has no call for this, and needs none.
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

// A LogFile is a file to which lines are added. Each line goes into the file that is at
// path when the line is written: logrotate may have renamed or removed the earlier file.
type LogFile struct {
	path string
	file *os.File
}

// OpenLog opens the file at path to append lines, or creates it with mode 0600. It does
// not wait, not even for the reader of a FIFO.
func OpenLog(path string) (*LogFile, error) {
	file, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &LogFile{path, file}, nil
}

// Write opens path anew and adds text. If path cannot be opened, the text goes into the
// file that is open already.
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
