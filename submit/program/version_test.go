package program

import (
	"runtime/debug"
	"testing"
)

func TestCommit(t *testing.T) {
	const id, other = "0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98"
	for _, test := range []struct {
		settings []debug.BuildSetting
		archived string
		want     string
	}{
		{nil, "$Format$", ""},
		{nil, other, "commit fedcba987654, "},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: id}, {Key: "vcs.modified", Value: "false"}}, "$Format$", "commit 0123456789ab, "},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: id}, {Key: "vcs.modified", Value: "true"}}, other, "commit 0123456789ab, modified, "},
	} {
		if got := commit(test.settings, test.archived); got != test.want {
			t.Errorf("commit(%v, %q) = %q, want %q", test.settings, test.archived, got, test.want)
		}
	}
}
