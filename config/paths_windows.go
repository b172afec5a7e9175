package config

import "path/filepath"

// defaultAliases is empty: there is no place for an alias file that only its
// administrators can write.
const defaultAliases = ""

func systemFile(getenv func(string) string) string {
	if d := getenv("ProgramData"); filepath.IsAbs(d) {
		return filepath.Join(d, "sendoff", "config.toml")
	}
	return ""
}

func userFolder(_ string, getenv func(string) string) string { return getenv("AppData") }

// owns returns true: the environment here is never another user's.
func owns(int, string) bool { return true }
