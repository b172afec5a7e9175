//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
)

// defaultAliases is the alias file if the configuration names none.
const defaultAliases = "/etc/aliases"

func systemFile() string {
	return filepath.Join("/", Root(), "/etc/sendoff/config.toml")
}

func userFolder(home string, _ func(string) string) string { return filepath.Join(home, ".config") }

// owns reports whether path exists and belongs to uid.
func owns(uid int, path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
