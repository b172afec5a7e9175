package process

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// Users by number, as passwd(5), shadow(5) and login.defs(5) have them. Where the
// system has no uids, nobody is known, and a uid's name is its number.

// IsOurs reports whether a uid is root's or the effective one of this process. The
// uid that stands for users whom this user namespace does not know counts as root's.
func IsOurs(uid int) bool { return uid == 0 || uid == os.Geteuid() || uid == unmapped() }

// IsUser reports whether name, a user's or a number, means uid. A number is
// always taken as a uid, though a user may have it as a name.
func IsUser(name string, uid int) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n == uid
	}
	return name == UserName(uid)
}

// IsSystemUser reports whether a uid is a service's, and not a person's.
func IsSystemUser(uid int) bool {
	defs, _ := os.ReadFile("/etc/login.defs")
	return uid < uidMin(string(defs))
}

// uidMin returns the first uid of a person, by a text of login.defs(5).
func uidMin(defs string) int {
	for line := range strings.Lines(defs) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "UID_MIN" {
			if n, err := strconv.Atoi(words[1]); err == nil && n > 0 {
				return n
			}
		}
	}
	return 1000
}

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

// A User is one who has files.
type User struct{ UID, GID int }

// Users returns each user that passwd(5) has.
func Users() (users []User, err error) {
	text, err := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		words := strings.Split(line, ":")
		if len(words) < 4 || strings.HasPrefix(line, "#") {
			continue
		}
		uid, err1 := strconv.ParseUint(words[2], 10, 31)
		gid, err2 := strconv.ParseUint(words[3], 10, 31)
		if err1 == nil && err2 == nil {
			users = append(users, User{int(uid), int(gid)})
		}
	}
	return users, err
}

// Expired returns the users whose accounts have expired, by shadow(5), which only
// root can read. A locked password does not count: many users who are meant to have
// mail have one.
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

// expiredNames returns the users whose eighth field in a text of shadow(5) is today or
// a day that is over, counted from 1970.
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

// CountedAs returns the number by which a user's share of anything is counted. Users
// whom this machine does not know share one: a user with subordinate uids has thousands
// of them.
func CountedAs(uid int) int {
	if uid == 0 || IsKnown(uid) {
		return uid
	}
	return -1
}
