//go:build unix

package process

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// IsKnown reports whether passwd(5) has a user of that number.
func IsKnown(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// UserName returns the name of a user, or the number of one who has none.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// Users returns the numbers of all users that passwd(5) has, and their groups.
func Users() (users [][2]int, err error) {
	text, err := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		words := strings.Split(line, ":")
		if len(words) < 4 || strings.HasPrefix(line, "#") {
			continue
		}
		uid, err1 := strconv.ParseUint(words[2], 10, 31)
		gid, err2 := strconv.ParseUint(words[3], 10, 31)
		if err1 == nil && err2 == nil {
			users = append(users, [2]int{int(uid), int(gid)})
		}
	}
	return users, err
}

// Expired returns the users whose accounts have expired, by shadow(5), which only
// root can read. A password that is locked is not looked at: many users who are
// meant to have mail have none.
func Expired(now time.Time) map[int]bool {
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		return nil
	}
	expired := make(map[int]bool)
	for _, name := range expiredNames(string(shadow), now) {
		if u, err := user.Lookup(name); err == nil {
			if uid, err := strconv.Atoi(u.Uid); err == nil && uid != 0 {
				expired[uid] = true
			}
		}
	}
	return expired
}

// expiredNames returns whose eighth field in a text of shadow(5) is a day that has
// come.
func expiredNames(shadow string, now time.Time) (names []string) {
	today := now.Unix() / (24 * 60 * 60)
	for line := range strings.Lines(shadow) {
		words := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(words) < 8 {
			continue
		}
		if day, err := strconv.ParseInt(words[7], 10, 64); err == nil && 0 <= day && day <= today {
			names = append(names, words[0])
		}
	}
	return names
}
