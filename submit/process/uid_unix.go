//go:build unix

package process

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// IsOurs reports whether a uid is root's or that of whoever runs us. The uid of
// a user whom this user namespace does not know may be root's, and counts as it.
func IsOurs(uid int) bool { return uid == 0 || uid == os.Geteuid() || uid == unmapped() }

// IsUser reports whether name, of a user or a uid, is that uid. A number is
// always a uid, though a user may have it as a name.
func IsUser(name string, uid int) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n == uid
	}
	return name == UserName(uid)
}

// IsSystemUser reports whether a uid is of a service, and not of a person.
func IsSystemUser(uid int) bool { return uid < firstUser() }

// defaultFirstUser is the first uid of a person where login.defs does not say.
const defaultFirstUser = 1000

// firstUser is UID_MIN of login.defs(5).
var firstUser = sync.OnceValue(func() int {
	text, _ := os.ReadFile("/etc/login.defs")
	return uidMin(string(text))
})

func uidMin(defs string) int {
	for line := range strings.Lines(defs) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "UID_MIN" {
			if n, err := strconv.Atoi(words[1]); err == nil && n > 0 {
				return n
			}
		}
	}
	return defaultFirstUser
}
