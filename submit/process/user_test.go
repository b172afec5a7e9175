//go:build unix

package process

import (
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

func TestUIDMin(t *testing.T) {
	for text, want := range map[string]int{
		"": 1000,
		"# UID_MIN 5\nUID_MIN\t\t\t  500\nUID_MAX 60000\n": 500,
		"UID_MIN x\n": 1000,
	} {
		if got := uidMin(text); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

func TestIsUser(t *testing.T) {
	for _, test := range []struct {
		name string
		uid  int
		want bool
	}{
		{"root", 0, true},
		{"0", 0, true},
		{"root", 1, false},
		{"0", 1000, false}, // even if that user is called 0
		{"", 60001, false},
		{"60001", 60001, true},
	} {
		if got := IsUser(test.name, test.uid); got != test.want {
			t.Errorf("%q, %d: %v", test.name, test.uid, got)
		}
	}
}
