package process

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// Users by uid, as passwd(5), shadow(5) and login.defs(5) have them. On a system without
// uids no user is known, and the name of a uid is its number.

// IsOurs reports whether uid is root's or the effective uid of this process. The overflow
// uid counts as root's if root's files have it (see unmapped).
func IsOurs(uid int) bool { return uid == 0 || uid == os.Geteuid() || uid == unmapped() }

// IsUser reports whether name, the name of a user or a number, means uid. A number always
// is a uid, even if a user has that number as a name.
func IsUser(name string, uid int) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n == uid
	}
	return name == UserName(uid)
}

// IsSystemUser reports whether uid belongs to a service, and not to a person.
func IsSystemUser(uid int) bool {
	defs, _ := os.ReadFile("/etc/login.defs")
	return uid < uidMin(string(defs))
}

// uidMin returns the first uid of persons; defs is the text of login.defs(5).
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

// IsKnown reports whether passwd(5) has a user with this uid.
func IsKnown(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// UserName returns the name of the user with this uid; if there is none, the number.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// A User is a uid and the user's primary group.
type User struct {
	UID, GID int
	Queue    string // the folder of the user's queue; "": the usual one
}

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
			users = append(users, User{UID: int(uid), GID: int(gid)})
		}
	}
	return users, err
}

// Expired returns the uids of the users whose accounts have expired, as shadow(5) says;
// nil for everybody but root, who alone can read it. A locked password is no sign of an
// expired account: many users who send mail have one.
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

// expiredNames returns the names of the users whose account has expired, in a text of
// shadow(5): the eighth field is today or an earlier day, in days since 1970.
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

// CountedAs returns the uid under which limits count the user: uid itself, or -1 for all
// uids that this machine does not know together. Otherwise a user with thousands of
// subordinate uids would have as many shares.
func CountedAs(uid int) int {
	if uid == 0 || IsKnown(uid) {
		return uid
	}
	return -1
}
