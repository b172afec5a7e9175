package config

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode"
)

// An Identity says who runs us, and where. What cannot be found out is empty,
// except UID and Login.
type Identity struct {
	UID      int    // effective; -1 on Windows
	Login    string // the number of a user who has no name
	FullName string
	Home     string // as the system knows it, whatever $HOME says
	Hostname string // if it can be a domain: "(none)" cannot
	FQDN     string // the host's full name, with a dot in it
	Mailname string // from /etc/mailname
	Sendmail string // what the system's programs run to send mail, there or not
}

// homeVariable names a variable of the environment that tests put in place of
// the system's knowledge of the home folder, and below which they put the
// system's sendmail and configuration. It is set by the linker, and empty
// otherwise: only the system decides where a queue is.
var homeVariable string

// Root returns the folder in which tests have /etc and /var, and "" otherwise.
func Root() string {
	if homeVariable == "" {
		return ""
	}
	return os.Getenv(homeVariable)
}

// sendmail is where all programs look for it, on most systems by a link.
const sendmail = "/usr/sbin/sendmail"

// Identify returns the Identity of this process. It reads files of the system
// only: no variable of the environment, and no name server.
func Identify() Identity {
	id := Identity{UID: os.Geteuid()}
	id.Login = strconv.Itoa(id.UID)
	if u, err := lookupUser(id.UID); err == nil {
		_, login, ok := strings.Cut(u.Username, `\`) // DOMAIN\user, on Windows
		if !ok {
			login = u.Username
		}
		id.Login, id.Home, id.FullName = login, u.HomeDir, fullName(u.Name, login)
	}
	if runtime.GOOS != "windows" {
		id.Sendmail = sendmail
	}
	if homeVariable != "" {
		id.Home = os.Getenv(homeVariable)
		id.Sendmail = filepath.Join(id.Home, sendmail)
	}
	if host, err := os.Hostname(); err == nil {
		hosts, _ := os.ReadFile("/etc/hosts")
		id.Hostname = firstDomain(host)
		id.FQDN = fqdn(id.Hostname, string(hosts))
	}
	mailname, _ := os.ReadFile("/etc/mailname")
	id.Mailname = firstDomain(string(mailname))
	return id
}

// lookupUser finds a user by number, which Windows does not have.
func lookupUser(uid int) (*user.User, error) {
	if uid < 0 {
		return user.Current()
	}
	return user.LookupId(strconv.Itoa(uid))
}

// fullName returns the name in a GECOS field: all up to the first comma, with
// the login, capitalised, in place of each &.
func fullName(gecos, login string) string {
	name, _, _ := strings.Cut(gecos, ",")
	if login != "" {
		name = strings.ReplaceAll(name, "&", strings.ToUpper(login[:1])+login[1:])
	}
	printable := func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}
	return strings.TrimSpace(strings.Map(printable, name))
}

// fqdn returns the full name of host: host itself if it has a dot, else the
// name with a dot in the line of hosts(5) that names host; else "". The
// localhost.localdomain of such a line is nobody's name.
func fqdn(host, hosts string) string {
	if strings.Contains(strings.Trim(host, "."), ".") {
		return firstDomain(host)
	}
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		full, isHost := "", false
		for _, name := range words[1:] {
			isHost = isHost || strings.EqualFold(name, host)
			if full == "" && strings.Contains(name, ".") && !strings.HasPrefix(name, "localhost.") {
				full = firstDomain(name)
			}
		}
		if isHost && full != "" {
			return full
		}
	}
	return ""
}

// firstDomain returns the first word of text if it is a domain, else "".
func firstDomain(text string) string {
	for word := range strings.FieldsSeq(text) {
		word = strings.TrimSuffix(word, ".")
		if isDomain(word) {
			return word
		}
		return ""
	}
	return ""
}
