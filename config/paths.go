package config

import (
	"path/filepath"
)

// Paths says where the configuration is. An empty path is none.
type Paths struct {
	System   string // for everybody
	User     string // its settings go before the system's
	Explicit string // if set, the only one, which must exist
	Home     string // what ~ means in the files
}

// Find returns where the configuration of id is, given the explicit path of an
// option or SENDOFF_CONFIG, or "".
//
// $HOME and $XDG_CONFIG_HOME count only if they are id's own: under sudo or su
// they may still be those of another user, whose files are not ours to use.
func Find(explicit string, getenv func(string) string, id Identity) Paths {
	home := getenv("HOME")
	if id.Home != "" && (home == "" || !owns(id.UID, home)) {
		home = id.Home
	}
	p := Paths{System: systemFile(getenv), Explicit: explicit, Home: home}
	folder := userFolder(home, getenv)
	if xdg := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(xdg) && (owns(id.UID, xdg) || owns(0, xdg)) {
		folder = xdg
	}
	if filepath.IsAbs(folder) {
		p.User = filepath.Join(folder, "sendoff", "config.toml")
	}
	return p
}
