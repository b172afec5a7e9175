//go:build unix

package credential

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// privateFolder returns the path of our folder in the user's runtime folder, which is in
// memory and is removed when the user has logged out. "": there is none, or others could
// look into it.
func privateFolder() string {
	folder := usersFolder()
	if !isOurs(folder) {
		return ""
	}
	folder = filepath.Join(folder, "sendoff")
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) || !isOurs(folder) {
		return ""
	}
	return folder
}

// usersFolder returns the path of the user's runtime folder. XDG_RUNTIME_DIR may be missing
// (cron) or name another user's folder (su, sudo): then it is /run/user/UID, which usually
// exists.
func usersFolder() string {
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

// isOurs reports whether folder is a folder, not a link, that belongs to this user and that
// nobody else can look into.
func isOurs(folder string) bool {
	info, err := os.Lstat(folder)
	return err == nil && info.IsDir() && info.Mode().Perm() == 0o700 && isUsers(info)
}
