//go:build unix

package credential

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"sendoff/submit/process"
)

// runtimeShelf is a folder in the runtime folder of the user, which is in
// memory and gone when the user is; nil if there is none of ours.
func runtimeShelf() *Shelf {
	folder := privateFolder()
	if folder == "" {
		return nil
	}
	return shelfIn(folder)
}

// privateFolder is the path of that folder; "" if there is none.
func privateFolder() string {
	folder := runtimeFolder()
	if !isOurs(folder) {
		return ""
	}
	folder = filepath.Join(folder, "sendoff")
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) || !isOurs(folder) {
		return ""
	}
	return folder
}

// runtimeFolder returns the user's runtime folder. cron does not name it, su
// and sudo name another's, and yet it is usually there.
func runtimeFolder() string {
	folder := os.Getenv("XDG_RUNTIME_DIR")
	info, err := os.Stat(folder)
	if !filepath.IsAbs(folder) || err == nil && !isUsers(info) {
		return "/run/user/" + strconv.Itoa(os.Geteuid())
	}
	return folder
}

func isUsers(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// isOurs reports whether a path is a folder, and no link, that nobody else can
// look into.
func isOurs(folder string) bool {
	info, err := os.Lstat(folder)
	return err == nil && info.IsDir() && info.Mode().Perm() == 0o700 && isUsers(info)
}

// shelfIn is a folder that isOurs as a shelf.
func shelfIn(folder string) *Shelf {
	path := func(name string) string { return filepath.Join(folder, name) }
	// It is named so that what somebody leaves who was killed is found. Where
	// two write at once, what comes of it is no token, which is as good as none.
	newPath := func(name string) string { return path("new-" + name) }
	return &Shelf{
		Read: func(name string) []byte {
			f, err := os.Open(path(name))
			if err != nil {
				return nil
			}
			defer f.Close()
			text, _ := io.ReadAll(io.LimitReader(f, maxAnswer))
			return text
		},
		Write: func(name string, text []byte) error {
			if len(text) == 0 {
				os.Remove(newPath(name))
				return os.Remove(path(name))
			}
			os.Remove(newPath(name))
			f, err := os.OpenFile(newPath(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			defer os.Remove(f.Name()) // fails once it is renamed
			_, err = f.Write(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			return os.Rename(f.Name(), path(name))
		},
		Lock: func(name string) (func(), error) {
			f, err := os.OpenFile(path(name), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				return nil, err
			}
			locked, err := process.Lock(f, process.Exclusive)
			if locked {
				return func() { f.Close() }, nil
			}
			f.Close()
			return nil, err
		},
	}
}
