package status

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"server", "user", "from", "full-name"}
	for _, row := range []struct{ name, want string }{
		{"sever", "server"}, {"usr", "user"}, {"form", "from"}, {"fullname", "full-name"}, {"full_name", "full-name"},
		{"user-name", "user"}, {"serv", "server"}, {"full", "full-name"}, // cut, or too long
		{"timeout", ""}, {"forum", "from"}, {"server-port", "server"},
		{"SERVER", ""}, {"x", ""}, {"", ""}, {"password", ""}, {strings.Repeat("s", 1<<20), ""},
	} {
		if got := Nearest(row.name, known); got != row.want {
			t.Errorf("%.20s: %q, want %q", row.name, got, row.want)
		}
	}
}
