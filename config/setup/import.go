package setup

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/importer"
	"sendoff/submit/credential"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// An Import makes a configuration of that of another program.
type Import struct {
	importer.Reader
	File   string // the file, or the program's folder; "" looks in the usual places
	Secret string // the source where passwords go, file:FOLDER/ for a file of each account; "" is chosen by For
	For    string // the name of a use; "" is cron's: a password that stood in a file goes to a file
	Target string // the configuration that Write writes to; "" is the one of Paths that fits
	Paths  config.Paths

	Write bool // write the configuration and store the passwords
	Add   bool // with Write: add the accounts to a configuration that is there

	Store *credential.Store

	use *use
}

// Run prints the configuration on out, and says what else there is to know: each setting
// that was not imported, where each password goes, and where mail still waits. No
// password is printed, unless it is a word of a command. Nothing is written or stored
// without Write; with it the passwords are stored first, so that a configuration that is
// there works.
func (i *Import) Run(ctx context.Context, out io.Writer, tell func(string)) error {
	say := i.folded(tell)
	var err error
	if i.use, err = useNamed(cmp.Or(i.For, "cron")); err != nil {
		return status.Usage.Wrap(err)
	}
	r, err := i.Read(i.File, say)
	if err != nil {
		return err
	}
	if i.Target == "" {
		i.Target = i.Paths.User
		if i.Identity.UID == 0 && r.IsSystem() && i.Paths.System != "" {
			i.Target = i.Paths.System
		}
	}
	p := &plan{file: edit.File{Path: i.Target, Paths: config.Paths{Explicit: i.Target, Home: i.Home}}}
	if err := i.placePasswords(ctx, r, p); err != nil {
		return err
	}
	text := r.Document.String()
	name := r.Program + "'s configuration as TOML"
	made, err := config.Check(config.Paths{Explicit: name, Home: i.Home}, name, text)
	if err != nil {
		return err
	}
	p.file.Private = slices.ContainsFunc(r.Accounts, func(a *edit.Table) bool { // the password may be among the words
		return strings.HasPrefix(a.Text("secret"), "command:")
	})
	if i.Write {
		if err := i.checkWrite(r, p); err != nil {
			return err
		}
	}
	for _, remark := range r.Remarks {
		say(remark)
	}
	if i.isContainer() {
		err = i.printVariables(r, made, out, say)
	} else {
		_, err = io.WriteString(out, text)
	}
	if err == nil && i.Write {
		err = p.apply(ctx, i.Store)
	}
	if err != nil {
		return err
	}
	i.sayPasswords(ctx, r, p, say)
	i.explainSystemd(made, r, tell)
	for _, line := range r.Waiting() {
		say(line)
	}
	i.sayDone(r, p, say)
	return nil
}

// columns is how long a line is at most, with the program's name before it.
const columns = 100 - len("sendoff: ")

// folded returns what says a line as several if need be, with ~ for the home.
func (i *Import) folded(say func(string)) func(string) {
	return func(line string) {
		if len(i.Home) > 1 {
			line = strings.ReplaceAll(line, i.Home+string(filepath.Separator), "~"+string(filepath.Separator))
		}
		for utf8.RuneCountInString(line) > columns {
			begin := string([]rune(line)[:columns])
			end := max(strings.LastIndex(begin, "; "), strings.LastIndex(begin, ": "), strings.LastIndex(begin, ". ")) + 1
			if end < columns/5 {
				end = strings.LastIndex(begin, " ")
			}
			if end < columns/5 {
				break // nothing can be pasted of which a line has but a part
			}
			say(line[:end])
			line = "  " + strings.TrimSpace(line[end:])
		}
		say(line)
	}
}

func (i *Import) isContainer() bool { return i.use.name == "container" }

// checkWrite finds out, before anything is stored, whether the configuration can be
// written.
func (i *Import) checkWrite(r *importer.Reading, p *plan) error {
	if i.isContainer() {
		return status.Usage.Errorf("--for container prints variables and writes nothing; leave out --write")
	}
	if _, err := os.Stat(i.Target); err == nil && !i.Add {
		return status.Usage.Errorf("%s already exists; to add the accounts to it, give --add instead of --write", i.Target)
	}
	p.change = func(text string) (string, error) { return i.add(r, p.file, text) }
	_, _, err := p.file.Check(p.change)
	return err
}

// sayPasswords says where each password is, or will be.
func (i *Import) sayPasswords(ctx context.Context, r *importer.Reading, p *plan, say func(string)) {
	for _, k := range p.secrets {
		where := k.ref.String()
		if strings.HasPrefix(where, fileSource) {
			where += " (mode 0600)"
		}
		if !i.Write {
			say(fmt.Sprintf("the password in %s: --write stores it in %s", k.at, where))
			continue
		}
		say(fmt.Sprintf("the password in %s is now in %s", k.at, where))
	}
	if len(p.secrets) == 0 || !strings.HasPrefix(p.secrets[0].ref.Text(), fileSource) {
		return
	}
	name := r.Passwords[0].Account.Name
	switch isSystem := i.Target == i.Paths.System; {
	case isSystem:
		say("only root can read that file; how other users send: see sendoff-server(7)")
	case i.For != "" || i.Secret != "" || !hasKeyring(ctx, i.Store, p.secrets[0].item):
	case i.Write:
		say("to keep it in your keyring instead: " + i.command() + " --login " + name + " --for desktop")
	default:
		say("to keep it in your keyring instead, add --for desktop")
	}
}

// command returns how sendoff is called to use the configuration that was written.
func (i *Import) command() string {
	if i.Target == i.Paths.User || i.Target == i.Paths.System {
		return "sendoff"
	}
	return "sendoff --config " + i.Target
}

// sayDone says what was written, and what to do next.
func (i *Import) sayDone(r *importer.Reading, p *plan, say func(string)) {
	_, err := os.Stat(i.Target)
	exists := err == nil
	if exists && !i.Write {
		_, _, err = p.file.Check(func(text string) (string, error) { return i.add(r, p.file, text) })
	}
	switch {
	case i.isContainer():
	case !i.Write && exists && err != nil:
		say("nothing was written, and the accounts cannot be added: " + err.Error())
	case !i.Write && exists:
		say("nothing was written: " + i.Target + " already exists; --add adds the accounts to it")
	case !i.Write:
		say("nothing was written; to write " + i.Target + ", add --write")
	default:
		say("written: " + i.Target)
		if p.file.Private {
			say("only its owner can read that file (mode 0600): a command in it may contain the password")
		}
		check := i.command() + " --doctor"
		if len(r.Accounts) > 1 {
			check += "; for one account: " + check + " " + r.Accounts[0].Name
		}
		say("to check that mail leaves: " + check)
		if len(p.secrets) > 0 {
			var places []string
			for _, k := range p.secrets {
				places = append(places, k.at)
			}
			say("once mail leaves, delete the password from " + strings.Join(places, " and "))
		}
	}
}

// placePasswords decides where the passwords go, each once, and says so in the accounts. No
// password takes the place of another: one that a keyring or a file that the user has
// named would lose stays where it is, and the password is not stored.
func (i *Import) placePasswords(ctx context.Context, r *importer.Reading, p *plan) error {
	store := *i.Store
	store.Interactive = store.Interactive && i.Write // else nobody is asked to unlock it
	for n, password := range r.Passwords {
		source, isNamed := i.source(password)
		if before := slices.IndexFunc(r.Passwords[:n], password.IsSame); before >= 0 {
			source = r.Passwords[before].Account.Text("secret")
		}
		password.Account.Set("secret", source)
		if i.Secret == "" && (i.use.password.kind == secret.Systemd || i.isContainer()) {
			continue // where only others can put it
		}
		ref, err := credential.ParseRef(source)
		if err == nil {
			_, err = credential.Writable([]credential.Ref{ref})
		}
		if err != nil {
			return status.Usage.Errorf("--secret: %w", err)
		}
		if i.Secret == "" && ref == secret.OfKeyring && !hasKeyring(ctx, i.Store, password.Item) {
			return status.Credential.Errorf("no keyring is available in this session; without --for desktop the password goes into a file")
		}
		k := placedSecret{ref, password.Item, password.Secret, password.At}
		n := slices.IndexFunc(p.secrets, func(o placedSecret) bool {
			return o.ref == ref && (strings.HasPrefix(source, fileSource) || o.item == k.item)
		})
		switch {
		case n >= 0 && p.secrets[n].secret.Reveal() != k.secret.Reveal():
			return status.Usage.Errorf("--secret: %s cannot hold the passwords in %s and in %s; give a folder: --secret file:FOLDER/", ref, p.secrets[n].at, k.at)
		case n >= 0:
		case !holdsOther(ctx, &store, ref, k.item, k.secret):
			p.secrets = append(p.secrets, k)
		case isNamed:
			r.Remark(fmt.Sprintf("the password in %s was not stored: %s has another one for %s at %s", k.at, ref, k.item.User, k.item.Host))
			r.Remark("to replace that: sendoff --login " + password.Account.Name)
		default: // whose it is, and for which server, nobody knows
			return status.Usage.Errorf("%s already holds another password; delete that file, or give --secret file:FOLDER/", ref)
		}
	}
	return nil
}

// source returns where a password goes, and whether that is the keyring or a file that
// the user has named, rather than a place that is named after the account.
func (i *Import) source(p importer.Password) (source string, isNamed bool) {
	source = i.Secret
	switch {
	case source != "":
	case i.use.password.kind == secret.Keyring:
		source = secret.OfKeyring.Text()
	case i.use.password.kind == secret.Systemd:
		return "systemd:sendoff-" + p.Account.Name, false
	case i.isContainer():
		return containerSecret, false
	default:
		folder := filepath.ToSlash(filepath.Dir(i.Target))
		if below, ok := strings.CutPrefix(folder, filepath.ToSlash(i.Home)+"/"); ok && i.Home != "" {
			folder = "~/" + below
		}
		source = fileSource + folder + "/"
	}
	if strings.HasPrefix(source, fileSource) && strings.HasSuffix(source, "/") {
		return source + p.Account.Name + ".secret", false
	}
	return source, true
}

// A sayer is a writer of lines that says them.
type sayer func(string)

func (say sayer) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		say(strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}

// conversation returns what setup would know of an account that a reading has.
func (i *Import) conversation(a *config.Account, out io.Writer, say func(string)) *conversation {
	c := &conversation{Setup: &Setup{Person: Person{Shown: sayer(say)}, Out: out, Identity: i.Identity}, file: i.Target, name: a.Name, user: a.User, server: a.Servers[0]}
	c.who.Address, _ = a.Address()
	if len(a.Secret) > 0 {
		c.ref = a.Secret[0]
	}
	return c
}

// explainSystemd says how the passwords become credentials of a service.
func (i *Import) explainSystemd(made *config.Config, r *importer.Reading, say func(string)) {
	done := make(map[string]bool)
	for _, p := range r.Passwords {
		for _, a := range made.Accounts {
			if source := p.Account.Text("secret"); a.Name == p.Account.Name && strings.HasPrefix(source, "systemd:") && !done[source] {
				done[source] = true
				i.folded(say)("the password for " + source + " is in " + p.At)
				i.conversation(a, sayer(say), say).explainCredential()
			}
		}
	}
}

// printVariables prints the default account as variables, and says what these cannot hold.
func (i *Import) printVariables(r *importer.Reading, made *config.Config, out io.Writer, say func(string)) error {
	a := made.Standard()
	if a == nil {
		a = made.Accounts[0]
	}
	var missing []string
	for _, s := range r.Top {
		missing = append(missing, s.Key)
	}
	for _, t := range r.Accounts {
		if t.Name != a.Name {
			missing = append(missing, "account "+t.Name)
			continue
		}
		for _, s := range t.Settings {
			if !slices.Contains([]string{"server", "user", "from", "secret"}, s.Key) {
				missing = append(missing, s.Key)
			}
		}
	}
	missing = slices.DeleteFunc(missing, func(s string) bool { return s == "account" })
	if len(missing) > 0 {
		say("not in the variables: " + strings.Join(missing, ", "))
		say("for these mount a configuration: sendoff --config FOLDER/config.toml --import --write")
	}
	return i.conversation(a, out, say).printVariables()
}

// add returns the text of the configuration with the accounts. To one that is there
// nothing else is added: what the settings at the top say would be for the other
// accounts, too; but the account that was the default as its only one stays that.
func (i *Import) add(r *importer.Reading, file edit.File, text string) (string, error) {
	d := edit.Document{Top: r.Top, Accounts: r.Accounts}
	if _, err := os.Stat(file.Path); err == nil {
		c, err := config.Check(file.Paths, file.Path, text)
		if err != nil {
			return "", err
		}
		for _, s := range r.Top {
			why := "it would apply to your other accounts too"
			if standard := c.Standard(); s.Key == "account" && standard != nil {
				why = "your default account stays " + strconv.Quote(standard.Name)
			}
			r.Remark(fmt.Sprintf("not added: %s (%s)", s, why))
		}
		d.Top = nil
		if only := c.Standard(); only != nil && c.Account == "" {
			d.Top.Set("account", only.Name)
		}
	}
	return d.AddTo(text)
}
