//go:build unix

package setup

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sendoff/config"
)

// A configuration that a group reads is still read by it when it was changed.
func TestSaveKeepsGroup(t *testing.T) {
	group := -1
	groups, _ := os.Getgroups()
	if os.Geteuid() == 0 {
		groups = append(groups, os.Getegid()+1)
	}
	for _, g := range groups {
		if g != os.Getegid() {
			group = g
		}
	}
	if group < 0 {
		t.Skip("this user has one group only")
	}
	file := only(filepath.Join(t.TempDir(), "config.toml"), "", config.Values{})
	if err := errors.Join(os.WriteFile(file.path, nil, 0o600), os.Chown(file.path, -1, group), os.Chmod(file.path, 0o640), file.save(asFile)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file.path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; got != uint32(group) || info.Mode().Perm() != 0o640 {
		t.Errorf("it is group %d's, with mode %s; it was %d's", got, info.Mode(), group)
	}
}
