package config

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"sendoff/submit/process"
)

// An Identity says which user runs this process, and on which host. A field is empty if the
// system does not say; UID and Login never are.
type Identity struct {
	UID      int    // effective; -1 on Windows
	Login    string // the number, if the user has no name
	FullName string
	Home     string // from the system, not from $HOME
	Hostname string // the host name, if it can be a domain: "(none)" cannot
	FQDN     string // the host's full name, which contains a dot
	Mailname string // from /etc/mailname
	Sendmail string // the path of the system's sendmail; it may be missing
}

// homeVariable names an environment variable for tests: its value replaces the home folder,
// and the system's sendmail and configuration are below it. Only the linker sets
// homeVariable. In a released program it is empty, so that only the system decides where a
// queue is.
var homeVariable string

// Root returns the folder in which tests have /etc and /var; otherwise "".
func Root() string {
	if homeVariable == "" {
		return ""
	}
	return os.Getenv(homeVariable)
}

// inContainer reports whether this process is in a container, whose variables it may lack:
// cron does not pass them to its jobs. Tests say so by a variable.
var inContainer = func() bool {
	if homeVariable != "" {
		return os.Getenv(variablePrefix+"TEST_CONTAINER") != ""
	}
	return process.InContainer()
}

// sendmail is the path at which programs look for sendmail on most systems.
const sendmail = "/usr/sbin/sendmail"

// Identify returns the Identity of this process. It reads only files of the system: no
// environment variable, and no name server.
func Identify() Identity {
	id := Identity{UID: os.Geteuid()}
	id.Login = strconv.Itoa(id.UID)
	if u, err := lookupUser(id.UID); err == nil {
		_, login, ok := strings.Cut(u.Username, `\`) // on Windows the name is DOMAIN\user
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

// lookupUser returns the user with this number; on Windows, which has no numbers, the
// current user.
func lookupUser(uid int) (*user.User, error) {
	if uid < 0 {
		return user.Current()
	}
	return user.LookupId(strconv.Itoa(uid))
}

// fullName returns the name in a GECOS field (passwd(5)): the text before the first comma,
// with the capitalised login for each &.
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

// fqdn returns the full name of host: host itself if it contains a dot; otherwise the first
// name with a dot in the line of hosts(5) that has host; otherwise "". It skips names such
// as localhost.localdomain.
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

// firstDomain returns the first word of text if it is a domain; otherwise "".
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
