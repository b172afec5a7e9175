package config

import "path/filepath"

// defaultAliases is empty: Windows has no folder for an alias file that only administrators
// can write.
const defaultAliases = ""

func systemFile(getenv func(string) string) string {
	if d := getenv("ProgramData"); filepath.IsAbs(d) {
		return filepath.Join(d, "sendoff", "config.toml")
	}
	return ""
}

func userFolder(_ string, getenv func(string) string) string { return getenv("AppData") }

// owns returns true: on Windows the environment is never that of another user.
func owns(int, string) bool { return true }
