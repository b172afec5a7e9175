package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/rewrite"
	"sendoff/submit/spool"
	"sendoff/submit/status"
)

// These checks look at this machine: the files, the secret, the queue.

// files lists the configuration files that were read and the variables that are ignored,
// and judges the access rights of the files with secrets. (A configuration that others can
// write has not been loaded: d.Fault says so.)
func (d *doctor) files(context.Context) []finding {
	var found []finding
	for _, path := range d.s.Config.Files {
		found = append(found, d.readable(path))
	}
	switch {
	case d.Fault != nil:
		found = append(found, failing(d.Fault))
	case len(found) == 0:
		found = append(found, fine("no configuration file"))
	}
	found = append(found, d.serviceFile()...)
	for _, text := range d.Unread {
		found = append(found, noted(status.Config.Errorf("%s", text)))
	}
	for _, f := range d.private() {
		loose, err := process.TrustPrivate(f.path, d.s.Smarthosts.Secrets.Store.Home)
		switch {
		case errors.As(err, new(*fs.PathError)): // another check reports that the file cannot be read
		case err != nil && f.judged:
			found = append(found, failing(status.Credential.Errorf("%s: %w", f.name, err)))
		case err != nil || loose != nil:
			found = append(found, noted(status.Credential.Errorf("%s: %w", f.name, cmp.Or(err, loose))))
		default:
			found = append(found, fine("%s%s", f.name, mode(f.path)))
		}
	}
	return found
}

// mode returns the mode of a file, for the end of a line; "" on Windows, which has none.
func mode(path string) string {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return ""
	}
	return fmt.Sprintf(" (mode %04o)", info.Mode().Perm())
}

// A privateFile is a file that holds a secret.
type privateFile struct {
	path, name string
	judged     bool // a delivery refuses the file if others could have written it
}

func (d *doctor) private() []privateFile {
	if d.account == nil {
		return nil
	}
	var files []privateFile
	for _, ref := range slices.Concat(d.sources(), d.account.ProxySecret) {
		if path := ref.Path(d.s.Smarthosts.Secrets.Store.Home); path != "" {
			files = append(files, privateFile{path, ref.String(), true})
		}
	}
	if key := d.account.TLSKey; key != "" {
		files = append(files, privateFile{key, "tls-key: " + key, false})
	} else if both := d.account.TLSCert; both != "" {
		files = append(files, privateFile{both, "tls-cert: " + both, false})
	}
	return files
}

// sources returns the references to the account's secret and refresh token, and to its
// providers' client secrets.
func (d *doctor) sources() []credential.Ref {
	refs := append(slices.Clone(d.account.Secret), d.account.RefreshToken)
	for _, ref := range d.account.Secret {
		if p, err := d.s.Config.Provider(ref.Provider()); err == nil && ref.IsOAuth2() {
			refs = append(refs, p.ClientSecret...)
		}
	}
	return refs
}

func (d *doctor) choice(context.Context) []finding {
	if d.account == nil {
		return single(failing(d.fault))
	}
	found := single(fine("%s, %s", d.account.Name, d.why))
	for _, server := range d.account.Servers {
		if odd := server.Way().Odd(server.Port); odd != "" {
			found = append(found, noted(status.Config.Errorf("%s: %s", server, odd)).advised("correct the port, or the scheme: server = \"smtps://%s\" or \"smtp://%s\"", server.Host, server.Host))
		}
	}
	return found
}

// secret reads the secret, as a delivery does.
func (d *doctor) secret(ctx context.Context) []finding {
	var got credential.Secret
	var err error
	d.login, err = d.s.Pool().Login(ctx, d.account, credential.Secret{})
	switch {
	case err != nil:
	case d.login == nil && d.account.User == "":
		return single(fine("not needed, as the account has no user"))
	case d.login == nil:
		return single(fine("none, as the account says"))
	case login.ByCertificate(d.account):
		return single(fine("not needed, as the certificate logs in"))
	default:
		got, err = d.login.Secret(ctx)
	}
	if d.noSecret = err != nil; d.noSecret {
		return single(failing(err))
	}
	words := login.Sources(d.account)
	if got.Source().IsVariable() {
		words += "; a process without that variable cannot send: its mail stays in the queue"
	}
	return append(single(fine("%s", words)), d.rootsOnly(got.Source())...)
}

// cronTime is how long the process of secretAsCron may take.
const cronTime = time.Minute

// secretAsCron reads the secret in a process that runs as under cron: without a terminal or
// a session, and with the few variables that cron sets. The process looks for the
// configuration itself, unless the caller has named a file.
func (d *doctor) secretAsCron(ctx context.Context) []finding {
	switch {
	case d.login == nil, login.ByCertificate(d.account):
		return single(fine("not needed"))
	case d.name() == "":
		return single(noted(status.Config.Errorf("the account is in no file, so only processes with these options or variables can use it")).
			advised("give cron's jobs the variables, in /etc/environment or at the top of the crontab, or create an account in a file: sendoff --setup"))
	}
	ctx, cancel := context.WithTimeout(ctx, cronTime)
	defer cancel()
	args := []string{"--secret-as-cron", d.name()}
	if file := d.By.CommandLine.Config; file != "" {
		args = append([]string{"--config", file}, args...)
	}
	id := d.s.Identity
	environment := []string{"HOME=" + cmp.Or(id.Home, "/"), "LOGNAME=" + id.Login, "SHELL=/bin/sh", "PATH=/usr/bin:/bin"}
	output, err := process.RunAsCron(ctx, environment, args...)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return single(fine("this system has no cron"))
	case err != nil:
		return single(failing(status.Temporary.Errorf("no process could be started with the environment of cron: %w", err)))
	case output == "":
		return single(fine("cron can read the secret, too"))
	}
	err = status.Credential.Errorf("%s, as cron runs it", strings.TrimSpace(output))
	if slices.ContainsFunc(d.sources(), credential.Ref.Given) {
		return single(noted(err))
	}
	return single(failing(err))
}

const rootsAlias = `set from in the account, such as from = "ann@example.org", or add a line to the alias file: root: ann@example.org`

// rootsMail says where mail for root goes: programs of the system send their mail to root.
func (d *doctor) rootsMail(context.Context) []finding {
	root, err := envelope.Parse("root")
	if err != nil {
		return single(failing(err))
	}
	to, err := d.s.Resolve(submit.Wanted{Recipient: envelope.Recipient{Address: root}}, d.rules)
	if err != nil {
		return single(failing(err))
	}
	var found []finding
	for _, t := range to.To {
		if t.Discard {
			found = append(found, noted(status.Config.Errorf("mail for root is discarded%s", t.Why)).advised(rootsAlias))
			continue
		}
		if rewrite.IsPrivate(t.Address) && !d.rules.KnowsDomain(t.Address.Domain()) {
			found = append(found, failing(status.Config.Errorf("mail for root goes to <%s>, an address that other servers do not know", t.Address)).
				advised(rootsAlias))
			continue
		}
		found = append(found, fine("<%s>%s", t.Address, t.Why))
	}
	for _, text := range to.Faults {
		found = append(found, noted(status.Config.Errorf("%s", text)))
	}
	return found
}

// errProbe is the error of a probe.
var errProbe = errors.New("a probe")

// A probe is a message that cannot be read.
type probe struct{}

func (probe) Read([]byte) (int, error) { return 0, errProbe }

// queue adds a probe to the queue. The probe fails at its first octet, so nothing is
// queued; all steps before that have then worked.
func (d *doctor) queue(context.Context) []finding {
	q := d.s.Queue
	if q == nil && queue.Unsupported != "" {
		return single(fine("%s, so mail that cannot be sent at once is not kept", queue.Unsupported))
	}
	if q == nil {
		err := status.Temporary.Errorf("there is no queue, so mail that cannot be sent at once is not kept: %w", d.noQueue)
		if errors.As(d.noQueue, new(spool.Absent)) { // on purpose, or because this is a container
			return single(noted(err))
		}
		return single(failing(err))
	}
	if err := q.Add(new(queue.Entry), probe{}); !errors.Is(err, errProbe) {
		return single(failing(status.Temporary.Errorf("no message can be queued: %w", err)))
	}
	if d.oddQueue != "" {
		return single(noted(status.Temporary.Errorf("%s", d.oddQueue)))
	}
	return single(fine("in %s", q))
}

// makeTimer says how a timer is made. The one of --make-spool runs no queue in a folder that
// a setting names.
func (d *doctor) makeTimer() string {
	if d.s.Config.Queue != "" {
		return runOften
	}
	return "make a timer, and a queue for each user: sudo sendoff --make-spool"
}

const runOften = "let a timer run every 5 minutes: sendoff --queue-run=5m"

func (d *doctor) runner(context.Context) []finding {
	s := d.s
	locked, _ := s.Queue.State.Locked(spool.RunnerLock)
	trouble, try := s.Trouble()
	switch {
	case s.Timed():
		return single(fine("a timer runs the queue"))
	case s.Config.Runner == config.Off && locked:
		return single(fine("a process runs the queue"))
	case s.Config.Runner == config.Off:
		return single(noted(status.Temporary.Errorf(`runner = "off", and neither a timer nor a process runs the queue`)).
			advised(runOften))
	case !try && !locked:
		return single(failing(status.Temporary.Errorf("nothing runs the queue: %s", trouble)))
	case trouble != "":
		return single(noted(status.Temporary.Errorf("no timer seen, and %s", trouble)).advised("%s", d.makeTimer()))
	}
	when := "after a restart"
	if process.EndsAtLogout() {
		when = "after you log out, or after a restart"
	}
	return single(noted(status.Temporary.Errorf("no timer seen yet: %s, queued mail waits until you send the next message", when)).
		advised("%s", d.makeTimer()))
}

// longWait is the age from which a queued message gets a note: a short failure of the
// server does not explain such an age.
const longWait = 4 * time.Hour

// waiting counts the queued messages, and names the oldest. For root it also counts those of
// others.
func (d *doctor) waiting(ctx context.Context) []finding {
	var oldest *queue.Entry
	found := d.others(ctx)
	entries, octets := 0, int64(0)
	for _, q := range append(d.otherQueues, d.s.Queue) {
		for e, err := range q.Entries() {
			if err != nil {
				found = append(found, noted(status.Temporary.Wrap(err)))
				continue
			}
			entries, octets = entries+1, octets+e.Size
			if oldest == nil || e.Born().Before(oldest.Born()) {
				oldest = e
			}
		}
	}
	if oldest == nil && len(found) > 0 {
		return append(found, fine("no other message is queued"))
	}
	if oldest == nil {
		return append(found, fine("no message is queued"))
	}
	age := time.Since(oldest.Born())
	size := status.Size(octets)
	if most := int64(d.s.Config.QueueLimit); most > 0 {
		size += " of " + status.Size(most)
	}
	words := fmt.Sprintf("%d message%s, %s, the oldest for %s", entries, status.Plural(entries), size, status.Lasted(age))
	if age < longWait {
		return append(found, fine("%s", words))
	}
	return append(found, noted(status.Temporary.Errorf("%s (%s): %s", words, oldest.ID, cmp.Or(oldest.Why(), "no attempt yet"))).
		advised("sendoff -bp shows why it waits; try it now: sendoff -q"))
}

// failed counts the messages that have failed: a person has to retry or delete them.
func (d *doctor) failed(context.Context) []finding {
	switch n, err := d.s.Queue.CountFailed(); {
	case err != nil:
		return single(noted(status.Temporary.Wrap(err)))
	case n > 0:
		return single(noted(status.Temporary.Errorf("%d message%s failed, in %s", n, status.Plural(n), d.s.Queue.FailedFolder())).
			advised("show why, and what to do: sendoff -bp -v"))
	}
	return single(fine("no message has failed"))
}

// installPath is where the manual tells root to install this program.
const installPath = "/usr/local/bin/sendoff"

// sendmail says whether the system's sendmail, which cron and other programs run, is this
// program, and whether SELinux lets them run it.
func (d *doctor) sendmail(context.Context) []finding {
	return append(d.sendmailProgram(), seLinux()...)
}

func (d *doctor) sendmailProgram() []finding {
	path := d.s.Identity.Sendmail
	if path == "" {
		return single(fine("this system has no sendmail"))
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return single(noted(status.Temporary.Errorf("%s does not exist, so cron sends no mail", path)).
			advised("link it: sudo ln -s %s %s", installPath, path))
	}
	if isThisProgram(real) {
		return single(fine("%s is sendoff", path))
	}
	name := path
	if real != path {
		name += ", a link to " + real + ","
	}
	return single(noted(status.Temporary.Errorf("%s is another program, so cron does not send its mail with sendoff", name)).
		advised("this shows how to put sendoff in its place: man sendoff-server"))
}

// isThisProgram reports whether the file at path is this program or a copy of it.
func isThisProgram(path string) bool {
	self, err := process.Executable()
	if err != nil {
		return false
	}
	a, errA := os.Stat(self)
	b, errB := os.Stat(path)
	switch {
	case errA != nil || errB != nil:
		return false
	case os.SameFile(a, b):
		return true
	}
	mine, errA := os.ReadFile(self)
	theirs, errB := os.ReadFile(path)
	return errA == nil && errB == nil && bytes.Equal(mine, theirs)
}
