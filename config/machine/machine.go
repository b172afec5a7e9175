// Package machine has the service that sends for all users of a machine with one
// credential, which none of them can read:
//
//	a user ── config.toml ── socket ──> sendoff --listen ── service.toml, password ──> server
//	                                    (user sendoff)
//
// Make makes what the table parts has, Renew replaces the password in it, and Remove takes
// it away; mail that is queued stays. Where systemd runs, it starts the service and gives
// the password to it. The package asks nobody, and knows no server.
//
// Errors: status.Usage if the caller has to do something first; status.Config if a
// configuration cannot be used or changed; status.Temporary if a file cannot be written or
// a program of the system fails.
package machine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/process"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// User is the name of the user that the service runs as.
const User = "sendoff"

// The paths of the service. Without systemd the socket is in the service's own folder,
// because a folder in /run does not survive a restart of the machine.
const (
	usersFile     = "/etc/sendoff/config.toml"
	settingsFile  = "/etc/sendoff/service.toml"
	encryptedFile = "/etc/sendoff/smtp.cred"
	secretFile    = "/etc/sendoff/smtp.secret"
	dropInFile    = spool.UnitFolder + "/sendoff.service.d/password.conf"
	home          = "/var/lib/sendoff"
	systemdSocket = "/run/sendoff/submit.sock"
	ownSocket     = home + "/submit.sock"
)

// credentialName is the name of the password among the credentials of the unit, and Secret
// the source that reads it.
const (
	credentialName = "smtp"
	Secret         = "systemd:smtp"
)

// A Machine is the service of this machine: the one that is there, or one to be made. The
// texts of its account are as in a configuration.
type Machine struct {
	Name, Server, User, From, Auth string

	// Account is the account in the configuration of the service, and Config that
	// configuration; nil: the service is not there.
	Account *config.Account
	Config  *config.Config

	program string // the path of this program
	systemd bool   // systemd starts the service
	secret  string // the file that has the password; "": there is none
	text    string // the text of that file, if it is to be written
}

// A part is a file or folder of the service.
type part struct {
	path string
	mode fs.FileMode
	kind kind
	text func(m *Machine) string // "": the file is not needed, or somebody else has made it
}

// A kind is what is special about a part.
type kind uint8

const (
	file     kind = iota
	unit          // a unit of systemd, which a package may have as well
	password      // without systemd, the service's group can read it
	folder        // the service's own; text is not used
)

// parts has the files of the service, in the order in which Make writes them. The file that
// everybody reads comes last and is not in the table, because it has other accounts, too.
var parts = [...]part{
	{spool.UnitFolder + "/sendoff.socket", 0o644, unit, func(m *Machine) string { return m.unitText(0) }},
	{spool.UnitFolder + "/sendoff.service", 0o644, unit, func(m *Machine) string { return m.unitText(1) }},
	{dropInFile, 0o644, unit, (*Machine).dropIn},
	{encryptedFile, 0o600, password, func(m *Machine) string { return m.passwordFor(encryptedFile) }},
	{secretFile, 0o600, password, func(m *Machine) string { return m.passwordFor(secretFile) }},
	{settingsFile, 0o644, file, (*Machine).settings},
	{home, 0o711, folder, nil},
}

// at returns path in the folder that is the root for tests.
func at(path string) string { return filepath.Join("/", config.Root(), path) }

// New returns the service of this machine as it is; without one, the service that can be
// made here. After an error of the service's configuration, it can only be removed.
func New(id config.Identity) (*Machine, error) {
	self, err := process.Executable()
	if err != nil {
		return nil, status.Temporary.Wrap(err)
	}
	m := &Machine{program: self}
	for _, path := range []string{encryptedFile, secretFile} {
		if _, err := os.Stat(at(path)); err == nil {
			m.secret = path
		}
	}
	c, err := config.LoadService(id)
	if c == nil {
		m.systemd = spool.Systemd() && os.Geteuid() == 0 && loadsCredentials(systemdVersion())
		return m, err
	}
	m.systemd = spool.Systemd() && c.Listen != ownSocket // otherwise it was made without systemd
	a := c.Standard()
	if a == nil {
		return m, status.Config.Errorf("%s has no default account", at(settingsFile))
	}
	from, _ := a.Address()
	m.Name, m.Server, m.User, m.From, m.Account, m.Config = a.Name, edit.URL(a.Servers[0]), a.User, from.String(), a, c
	return m, nil
}

// loadsCredentials reports whether systemd can give a credential to a service. version is the
// output of systemctl --version; "": unknown.
func loadsCredentials(version string) bool {
	words := strings.Fields(version)
	if len(words) < 2 {
		return true
	}
	n, err := strconv.Atoi(words[1])
	return err != nil || n >= 247
}

// Check returns an error if Make could not begin.
func (m *Machine) Check() error {
	if err := process.TrustProgram(m.program); err != nil {
		return status.Usage.Errorf("the service would run %s, which others could replace: %w", m.program, err)
	}
	if _, err := spool.UnitPath(m.program); err != nil && m.systemd {
		return err
	}
	u, err := service()
	if err == nil && !process.IsSystemUser(u.UID) && !isOurs() {
		return status.Usage.Errorf("the user %s is a person (uid %d), who could read the password: rename that user first", User, u.UID)
	}
	f := m.usersFile()
	if _, _, err := f.Check(m.users); err != nil {
		return err
	}
	return f.Writable()
}

// Describe says in five lines what Make has made.
func (m *Machine) Describe() string {
	made := "runs now; to start it with the machine, put this line into /etc/cron.d/sendoff-machine:\n" + m.Line()
	secret := "in " + at(secretFile) + ", which only root and the service can read"
	if m.systemd {
		made = "sendoff.socket and sendoff.service; while there is no mail, \"inactive\" is normal"
	}
	switch m.secret {
	case "":
		secret = "none: the server requires no login"
	case encryptedFile:
		secret = "in " + at(encryptedFile) + ", encrypted for this machine"
	}
	return fmt.Sprintf(`All users of this machine now send as %s, through %s:
  user      %s: a service runs as this user, and sends for all users
  password  %s
  settings  %s for the service, %s for users
  service   %s
`, m.From, m.Server, User, secret, at(settingsFile), at(usersFile), made)
}

// Serves reports whether a, an account of a user, leads to the service of m.
func (m *Machine) Serves(a *config.Account) bool { return m.Account != nil && a.LeadsTo(m.Config) }

// Keeps reports whether a, the account of the service, has its password where Make puts it.
func (m *Machine) Keeps(a *config.Account) bool {
	return len(a.Secret) == 1 && a.Secret[0].Text() == m.source()
}

// HasPassword reports whether the service has a password, or needs none.
func (m *Machine) HasPassword() bool { return m.secret != "" || m.Account != nil && m.User == "" }

// PasswordFile returns the path of the file that has the password; "": there is none.
func (m *Machine) PasswordFile() string {
	if m.secret == "" {
		return ""
	}
	return at(m.secret)
}

// UsersFile returns the path of the configuration that everybody reads.
func UsersFile() string { return at(usersFile) }

// socket returns the path of the service's socket.
func (m *Machine) socket() string {
	switch {
	case m.Config != nil && m.Config.Listen != "":
		return strings.TrimPrefix(m.Config.Listen, "unix:")
	case m.systemd:
		return systemdSocket
	}
	return ownSocket
}

// source returns where the service reads the password.
func (m *Machine) source() string {
	switch {
	case m.User == "":
		return ""
	case m.systemd:
		return Secret
	}
	return "file:" + at(secretFile)
}

// settings returns the configuration of the service; "": it is there.
func (m *Machine) settings() string {
	if m.Account != nil {
		return ""
	}
	var d edit.Document
	a := edit.NewAccount(m.Name)
	a.Set("server", m.Server)
	a.Set("user", m.User)
	a.Set("from", m.From)
	a.Set("secret", m.source())
	a.Set("auth", m.Auth)
	a.Set("force-sender", true)
	d.Accounts = append(d.Accounts, a)
	top := edit.Settings{{Key: "listen", Value: m.socket()}, {Key: "queue", Value: config.ServiceQueue(nil)}}
	rate := edit.Setting{Key: "user-rate", Value: "300/1h"}
	return `# The service that sends for all users of this machine: see sendoff-server(7). A change
# here is used at once.
` + top.String() + `
# Each user except root can send 300 messages in an hour. Further messages stay in the queue
# of the service, and are sent later.
` + rate.String() + "\n\n" + d.String()
}

// usersFile returns the configuration that everybody reads, for a change.
func (m *Machine) usersFile() edit.File {
	return edit.File{Path: at(usersFile), Paths: config.Paths{Explicit: at(usersFile)}}
}

// users is the change of the configuration that everybody reads: an account that leads to
// the service. It replaces an account with the same address, whose password other users
// cannot read.
func (m *Machine) users(text string) (string, error) {
	c, err := config.Check(m.usersFile().Paths, at(usersFile), text)
	if err != nil {
		return "", err
	}
	others := len(c.Accounts)
	for _, a := range c.Accounts {
		own, _ := a.Address()
		switch {
		case a.Name == m.Name && a.Servers[0].Path == m.socket():
			return text, nil
		case a.Name == m.Name, strings.EqualFold(own.String(), m.From):
			others--
			if text, err = edit.RemoveAccount(text, a.Name); err != nil {
				return "", err
			}
		}
	}
	var d edit.Document
	a := edit.NewAccount(m.Name)
	a.Set("server", "unix:"+m.socket())
	a.Set("from", m.From)
	d.Accounts = append(d.Accounts, a)
	if others > 0 {
		d.Top.Set("account", m.Name)
	}
	return d.AddTo(text)
}
