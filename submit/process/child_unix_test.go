//go:build unix

package process

import (
	"testing"
)

// TestGroupsOf proves that a user without a passwd entry is in no group but nogroup.
func TestGroupsOf(t *testing.T) {
	if gid, groups := groupsOf(987654); gid != nogroup || len(groups) != 0 {
		t.Error(gid, groups)
	}
	if gid, groups := groupsOf(0); gid != 0 || len(groups) == 0 {
		t.Error(gid, groups)
	}
}
