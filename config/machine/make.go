package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// Make makes what the service lacks, starts the service, and then lets the configuration
// that everybody reads lead to it. A password that is not zero replaces the one that the
// service has. changed reports whether there was anything to do.
func (m *Machine) Make(ctx context.Context, secret credential.Secret) (changed bool, err error) {
	if err := m.Check(); err != nil {
		return false, err
	}
	f := m.usersFile()
	text, _, err := f.Check(m.users)
	if err != nil {
		return false, err
	}
	if before, err := os.ReadFile(f.Path); err == nil && string(before) == text {
		return m.makeParts(ctx, secret)
	}
	err = f.Change(m.users, func() error {
		_, err := m.makeParts(ctx, secret)
		return err
	})
	return true, err
}

// makeParts makes the user and the parts, and starts the service.
func (m *Machine) makeParts(ctx context.Context, secret credential.Secret) (changed bool, err error) {
	added, err := addUser(ctx)
	if err != nil {
		return false, err
	}
	if !secret.IsZero() {
		m.seal(ctx, secret)
	}
	written, err := m.write()
	if err != nil {
		return false, err
	}
	started, err := m.start(ctx, written)
	return added || written || started, err
}

// Renew replaces the password of the service.
func (m *Machine) Renew(ctx context.Context, secret credential.Secret) error {
	m.seal(ctx, secret)
	changed, err := m.write()
	if err == nil {
		_, err = m.start(ctx, changed)
	}
	return err
}

// seal decides in which file the password will be: encrypted, where systemd can do that.
func (m *Machine) seal(ctx context.Context, secret credential.Secret) {
	m.secret, m.text = secretFile, secret.Reveal()+"\n"
	if !m.systemd {
		return
	}
	if text, err := encrypt(ctx, credentialName, secret); err == nil {
		m.secret, m.text = encryptedFile, text
	}
}

// encrypt returns a password as the text of a file that systemd decrypts for a service.
func encrypt(ctx context.Context, name string, secret credential.Secret) (string, error) {
	return output(ctx, secret.Reveal(), "systemd-creds", "encrypt", "--name="+name, "-", "-")
}

// Credential returns the path of an encrypted credential of systemd, other than that of the
// service of this machine; "": there is none of this name.
func Credential(name string) string {
	path := at("/etc/credstore.encrypted/" + name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// RenewCredential replaces a credential that Credential has found.
func RenewCredential(ctx context.Context, name string, secret credential.Secret) error {
	text, err := encrypt(ctx, name, secret)
	if err == nil {
		err = process.Replace(Credential(name), ".sendoff-*", []byte(text), 0o600)
	}
	return status.Temporary.Wrap(err)
}

// passwordFor returns the text for a file that can have the password; "": it stays.
func (m *Machine) passwordFor(path string) string {
	if m.secret != path {
		return ""
	}
	return m.text
}

// Holds reports whether the service has this password.
func (m *Machine) Holds(ctx context.Context, secret credential.Secret) bool {
	var text string
	var err error
	switch m.secret {
	case encryptedFile:
		text, err = output(ctx, "", "systemd-creds", "decrypt", "--name="+credentialName, at(encryptedFile), "-")
	case secretFile:
		var octets []byte
		octets, err = os.ReadFile(at(secretFile))
		text = strings.TrimSuffix(string(octets), "\n")
	}
	return err == nil && m.secret != "" && text == secret.Reveal()
}

// write writes each part whose text differs from the file that is there.
func (m *Machine) write() (changed bool, err error) {
	for _, p := range parts {
		wrote := false
		if p.kind == folder {
			wrote, err = m.makeFolder(p)
		} else if text := p.text(m); text != "" {
			wrote, err = m.writeFile(p, text)
		} else if m.text != "" && (p.kind == password || p.path == dropInFile) {
			wrote = os.Remove(at(p.path)) == nil // of the way in which the password was kept before
		}
		if err != nil {
			return changed, status.Temporary.Wrap(err)
		}
		changed = changed || wrote
	}
	return changed, nil
}

func (m *Machine) writeFile(p part, text string) (changed bool, err error) {
	path := at(p.path)
	if before, err := os.ReadFile(path); err == nil && string(before) == text {
		return false, nil
	}
	if _, err := (edit.File{Path: path}).MakeFolder(); err != nil {
		return false, err
	}
	if err := process.Replace(path, ".sendoff-*", []byte(text), p.mode); err != nil {
		return false, err
	}
	if p.kind != password || m.systemd {
		return true, nil
	}
	u, err := service()
	if err == nil {
		err = errors.Join(os.Chown(path, 0, u.GID), os.Chmod(path, p.mode|0o040))
	}
	return true, err
}

// makeFolder makes the folder of the service, which systemd does otherwise.
func (m *Machine) makeFolder(p part) (changed bool, err error) {
	if _, err := os.Stat(at(p.path)); m.systemd || err == nil {
		return false, nil
	}
	u, err := service()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(at(p.path)), 0o755)
	}
	if err == nil {
		err = os.Mkdir(at(p.path), 0o700)
	}
	if err == nil {
		err = errors.Join(os.Chown(at(p.path), u.UID, u.GID), os.Chmod(at(p.path), p.mode))
	}
	return true, err
}

// service returns the user of the service.
func service() (u process.User, err error) {
	found, err := user.Lookup(User)
	if err != nil {
		return u, status.Usage.Wrap(err)
	}
	u.UID, err = strconv.Atoi(found.Uid)
	u.GID, _ = strconv.Atoi(found.Gid)
	return u, err
}

// isOurs reports whether the user of the service has the home that addUser gives. A system
// without system users, such as FreeBSD, gives it the uid of a person.
func isOurs() bool {
	found, err := user.Lookup(User)
	return err == nil && found.HomeDir == home
}

// systemdVersion returns what systemctl says about its version.
func systemdVersion() string {
	text, _ := output(context.Background(), "", "systemctl", "--version")
	return text
}

// start makes sure that the service runs, and runs with the files as they are now; changed
// says that it may have read others.
func (m *Machine) start(ctx context.Context, changed bool) (started bool, err error) {
	if !m.systemd {
		return m.startAlone(ctx)
	}
	var calls [][]string
	if changed {
		calls = append(calls, []string{"daemon-reload"})
	}
	enable := []string{"enable"}
	for _, name := range unitNames() {
		if spool.Systemctl(ctx, "is-enabled", "--quiet", name) != nil {
			enable = append(enable, name)
		}
	}
	if len(enable) > 1 {
		calls = append(calls, enable)
	}
	if changed || spool.Systemctl(ctx, "is-active", "--quiet", unitNames()[0]) != nil {
		calls = append(calls, append([]string{"restart"}, unitNames()...))
	}
	for _, args := range calls {
		if err := spool.Systemctl(ctx, args...); err != nil {
			return true, status.Temporary.Wrap(err)
		}
	}
	return len(calls) > 0, nil
}

// startTime is how long the service may need to open its socket.
const startTime = 10 * time.Second

// startAlone starts the service where there is no systemd, if it does not run.
func (m *Machine) startAlone(ctx context.Context) (started bool, err error) {
	if m.answers() {
		return false, nil
	}
	u, err := service()
	if err != nil {
		return false, err
	}
	cmd, err := process.StartAs(u, nil, nil, m.listen()...)
	if err != nil {
		return false, status.Temporary.Wrap(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.After(startTime)
	for !m.answers() {
		select {
		case err := <-ended:
			return true, status.Temporary.Errorf("the service has ended: %w; see why: %s", err, m.Line())
		case <-limit:
			return true, status.Temporary.Errorf("the service does not listen on %s after %v", m.socket(), startTime)
		case <-ctx.Done():
			return true, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true, nil
}

func (m *Machine) listen() []string { return []string{"--listen", "--config", at(settingsFile)} }

// answers reports whether somebody listens on the socket.
func (m *Machine) answers() bool {
	conn, err := net.Dial("unix", m.socket())
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// Line returns the line of a crontab with users that starts the service with the machine.
func (m *Machine) Line() string {
	return "@reboot " + User + " " + m.program + " " + strings.Join(m.listen(), " ")
}

type adder struct{ add, remove []string }

// adders has the commands that add a system user and a group of the same name, by the
// program that a system has, and those that delete them.
var adders = [...]adder{
	{[]string{"useradd --system --user-group --no-create-home --home-dir HOME --shell /usr/sbin/nologin NAME"}, []string{"userdel NAME"}},
	{[]string{"addgroup -S NAME", "adduser -S -D -H -h HOME -s /sbin/nologin -G NAME NAME"}, []string{"deluser NAME"}}, // BusyBox
	{[]string{"pw useradd NAME -d HOME -s /usr/sbin/nologin"}, []string{"pw userdel NAME"}},                            // FreeBSD
}

// addUser adds the user of the service, if there is none.
func addUser(ctx context.Context) (added bool, err error) {
	if _, err := service(); err == nil {
		return false, nil
	}
	err = runFirst(ctx, func(a adder) []string { return a.add })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, status.Usage.Errorf("no program was found that adds users: add the system user %s, then repeat this command", User)
	case err != nil:
		err = status.Temporary.Errorf("%w; add the system user %s, then repeat this command", err, User)
	}
	return true, err
}

// runFirst runs the commands of the first row of adders whose program this system has. The
// error is fs.ErrNotExist if it has none.
func runFirst(ctx context.Context, commands func(adder) []string) (err error) {
	for _, row := range adders {
		if err = runAll(ctx, commands(row)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// runAll runs commands of which each word is an argument. The error is fs.ErrNotExist if
// the first program is missing.
func runAll(ctx context.Context, commands []string) error {
	for _, words := range commands {
		argv := strings.Fields(strings.NewReplacer("NAME", User, "HOME", home).Replace(words))
		if _, err := output(ctx, "", argv...); err != nil {
			return err
		}
	}
	return nil
}

// commandTime is how long a program of the system may take.
const commandTime = time.Minute

// output runs a program of the system, which also is looked for where root's programs are,
// and returns its output. The error is fs.ErrNotExist if there is no such program.
func output(ctx context.Context, input string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	path, err := exec.LookPath(argv[0])
	for _, folder := range [...]string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(folder + argv[0])
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", argv[0], fs.ErrNotExist)
	}
	argv[0] = path
	var out, said strings.Builder
	cmd := process.Command(ctx, argv, false)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := process.RunCommand(cmd); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(path), err, status.OneLine(errors.New(strings.TrimSpace(said.String()))))
	}
	return out.String(), nil
}
