//go:build unix

package credential

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// privateFolder returns the path of our folder in the runtime folder of the user,
// which is in memory and gone when the user is; "" if there is none.
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

// usersFolder returns the path of the user's runtime folder. cron does not name
// it, su and sudo name another's, and yet it is usually there.
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

// isOurs reports whether a path is a folder, and no link, that nobody else can
// look into.
func isOurs(folder string) bool {
	info, err := os.Lstat(folder)
	return err == nil && info.IsDir() && info.Mode().Perm() == 0o700 && isUsers(info)
}
