package config

import (
	"path/filepath"
)

// Paths has the paths of the configuration. "" means that there is no such file.
type Paths struct {
	System   string // the system's file, for all users
	User     string // the user's file, whose settings replace the system's
	Explicit string // if set, the only file, which must exist
	Home     string // the folder that ~ in the files means
}

// Find returns the paths of the configuration of id. explicit is the argument of --config
// or SENDOFF_CONFIG, or "".
//
// $HOME and $XDG_CONFIG_HOME count only if these folders belong to id: under sudo or su
// they may name folders of another user.
func Find(explicit string, getenv func(string) string, id Identity) Paths {
	home := getenv("HOME")
	if id.Home != "" && (home == "" || !owns(id.UID, home)) {
		home = id.Home
	}
	p := Paths{System: systemFile(), Explicit: explicit, Home: home}
	folder := userFolder(home, getenv)
	if xdg := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(xdg) && (owns(id.UID, xdg) || owns(0, xdg)) {
		folder = xdg
	}
	if filepath.IsAbs(folder) {
		p.User = filepath.Join(folder, "sendoff", "config.toml")
	}
	return p
}
