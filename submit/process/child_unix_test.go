//go:build unix

package process

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExpiredNames(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) // day 20786
	shadow := strings.Join([]string{
		"root:*:20000:0:99999:7:::", "locked:!:20000:0:99999:7:::", "password:$y$x:1:0:1:7:1::",
		"past:x:20000:0:99999:7::20785:", "today:x:20000:0:99999:7::20786:", "tomorrow:x:20000:0:99999:7::20787:", "first:x:20000:0:99999:7::0:",
		"odd:x:20000:0:99999:7::x:", "negative:x:20000:0:99999:7::-1:", "short:x", "",
	}, "\n")
	if got := expiredNames(shadow, now); !slices.Equal(got, []string{"past", "today", "first"}) {
		t.Error(got)
	}
}

// TestDistrustEnvironment keeps what steers nothing.
func TestDistrustEnvironment(t *testing.T) {
	for _, name := range []string{"SENDOFF_SECRET", "SENDOFF_ELSE", "DBUS_SESSION_BUS_ADDRESS", "OTHER_SENDOFF_SECRET"} {
		t.Setenv(name, "x")
	}
	distrustEnvironment()
	for name, want := range map[string]string{"SENDOFF_SECRET": "", "SENDOFF_ELSE": "", "DBUS_SESSION_BUS_ADDRESS": "", "OTHER_SENDOFF_SECRET": "x"} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// TestGroupsOf gives who has no passwd entry no group of the system's.
func TestGroupsOf(t *testing.T) {
	if gid, groups := groupsOf(987654); gid != nogroup || len(groups) != 0 {
		t.Error(gid, groups)
	}
	if gid, groups := groupsOf(0); gid != 0 || len(groups) == 0 {
		t.Error(gid, groups)
	}
}
