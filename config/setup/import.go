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

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/importer"
	"sendoff/submit/credential"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// An Import makes a configuration from that of another program.
type Import struct {
	importer.Reader
	File   string // the file, or the program's folder; "": search the usual places
	Secret string // the source for passwords; file:FOLDER/ makes a file for each account; "": For decides
	For    string // the name of a use; "": cron, but only a password that was in a file goes to a file
	Target string // the configuration that Write writes; "": a file of Paths
	Paths  config.Paths

	Write bool // write the configuration and store the passwords
	Add   bool // with Write: add the accounts to an existing configuration

	Store *credential.Store

	// ForAll is set by Run: the answers with which a service sends for all users instead of
	// the account for everybody that was written; nil: there is none.
	ForAll *Setup

	use *use
}

// Run prints the configuration to out, and tells everything else: which settings were not
// imported, where passwords go, and in which queues mail waits. It prints no password,
// unless a command contains it. Without Write, nothing is written or stored. With Write,
// the passwords are stored before the configuration is written, so that every written
// account has its password.
func (i *Import) Run(ctx context.Context, out io.Writer, tell func(string)) error {
	say := i.folded(tell)
	var err error
	if i.use, err = useOfOne(cmp.Or(i.For, "cron")); err != nil {
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
	if !i.isContainer() {
		i.rename(r, p.file)
	}
	i.placeOthers(r)
	if err := i.placePasswords(ctx, r, p); err != nil {
		return err
	}
	text := r.Document.String()
	name := r.Program + "'s configuration as TOML"
	made, err := config.Check(config.Paths{Explicit: name, Home: i.Home}, name, text)
	if err != nil {
		return err
	}
	i.remarkOthers(ctx, r, made)
	p.file.Private = slices.ContainsFunc(r.Accounts, func(a *edit.Table) bool { // a command may contain the password
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
	i.sayDone(r, p, made, say)
	return nil
}

// rename renames each account whose name an account of the configuration with another login
// has. An account with the same login was imported before: it keeps its name, and add
// refuses it.
func (i *Import) rename(r *importer.Reading, file edit.File) {
	c, err := config.Load(file.Paths)
	if err != nil {
		return
	}
	taken := func(name string) *config.Account {
		for _, a := range c.Accounts {
			if a.Name == name {
				return a
			}
		}
		return nil
	}
	for _, a := range r.Accounts {
		there, old := taken(a.Name), a.Name
		if there == nil || there.User == a.Text("user") && strings.Contains(a.String(), strconv.Quote(edit.URL(there.Servers[0]))) {
			continue
		}
		isImported := func(name string) bool {
			return slices.ContainsFunc(r.Accounts, func(o *edit.Table) bool { return o != a && o.Name == name })
		}
		for n := 2; taken(a.Name) != nil || isImported(a.Name); n++ {
			a.Name = old + "-" + strconv.Itoa(n)
		}
		if r.Top.Text("account") == old {
			r.Top.Set("account", a.Name)
		}
		r.Remark(fmt.Sprintf("account %q was renamed to %q: %s already has another account of that name", old, a.Name, file.Path))
	}
}

func (i *Import) isContainer() bool { return i.use.name == "container" }

// checkWrite returns an error if the configuration cannot be written, before any password
// is stored.
func (i *Import) checkWrite(r *importer.Reading, p *plan) error {
	if i.isContainer() {
		return status.Usage.Errorf("--for container prints variables and writes nothing; leave out --write")
	}
	if _, err := os.Stat(i.Target); err == nil && !i.Add {
		return status.Usage.Errorf("%s already exists; to add the accounts to it: %s", i.Target, i.again("--add"))
	}
	p.change = func(text string) (string, error) { return i.add(r, p.file, text) }
	_, _, err := p.file.Check(p.change)
	return err
}

// samePassword is equal for the same password of the same login.
type samePassword struct {
	item   credential.Item
	secret string
}

// placeKey is where one password can be: a file, or an item of a keyring. A file has no item.
type placeKey struct {
	ref  secret.Ref
	item credential.Item
}

// placePasswords decides where each password is stored, and sets secret in the accounts. It
// never replaces a different secret: if the keyring or a file that the user has named holds
// one, the password is not stored.
func (i *Import) placePasswords(ctx context.Context, r *importer.Reading, p *plan) error {
	store := *i.Store
	store.Interactive = store.Interactive && i.Write // without Write, reading must not ask the person to unlock the keyring
	sources := make(map[samePassword]string)
	placed := make(map[placeKey]int) // indices in p.secrets
	for _, password := range r.Passwords {
		source, isNamed := i.source(password.Account.Name)
		same := samePassword{password.Item, password.Secret.Reveal()}
		if before, ok := sources[same]; ok {
			source = before
		}
		sources[same] = source
		password.Account.Set("secret", source)
		if i.Secret == "" && (i.use.password.kind == secret.Systemd || i.isContainer()) {
			continue // sendoff cannot write to this place
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
		where := placeKey{ref, k.item}
		if strings.HasPrefix(source, fileSource) {
			where.item = credential.Item{}
		}
		n, isPlaced := placed[where]
		switch {
		case isPlaced && p.secrets[n].secret.Reveal() != k.secret.Reveal():
			return status.Usage.Errorf("--secret: %s cannot hold the passwords in %s and in %s; give a folder: --secret file:FOLDER/", ref, p.secrets[n].at, k.at)
		case isPlaced:
		case !holdsOther(ctx, &store, ref, k.item, k.secret):
			placed[where] = len(p.secrets)
			p.secrets = append(p.secrets, k)
		case isNamed:
			r.Remark(fmt.Sprintf("the password in %s was not stored: %s has another one for %s at %s", k.at, ref, k.item.User, k.item.Host))
			r.Remark("to replace that: sendoff --login " + password.Account.Name)
		default: // nobody knows for which account and server this file is
			return status.Usage.Errorf("%s already holds another password; to use another folder, give --secret file:FOLDER/", ref)
		}
	}
	return nil
}

// placeOthers sets secret for the accounts without a password in a file, if their use
// cannot read the keyring.
func (i *Import) placeOthers(r *importer.Reading) {
	for _, a := range r.Accounts {
		if i.withoutKeyring() && i.Secret == "" && a.Text("secret") == secret.OfKeyring.Text() {
			source, _ := i.source(a.Name)
			a.Set("secret", source)
		}
	}
}

// withoutKeyring reports whether the use has neither the user's keyring nor the user's
// programs.
func (i *Import) withoutKeyring() bool {
	return i.use.password.kind == secret.Systemd || i.isContainer()
}

// remarkOthers adds remarks about the accounts without a password in a file: how to store
// the password, and which commands may not run.
func (i *Import) remarkOthers(ctx context.Context, r *importer.Reading, made *config.Config) {
	hasPassword := make(map[string]bool)
	for _, p := range r.Passwords {
		hasPassword[p.Account.Name] = true
	}
	for _, a := range made.Accounts {
		if len(a.Secret) == 0 || hasPassword[a.Name] {
			continue
		}
		item := credential.Item{User: a.User, Host: a.Servers[0].Identity()}
		isCommand := strings.HasPrefix(a.Secret[0].Text(), "command:")
		switch login := i.command() + " --login " + a.Name; {
		case isCommand && i.isContainer():
			r.Remark(fmt.Sprintf("account %q gets its password from a command; if the container cannot run it, set SENDOFF_SECRET=%s", a.Name, containerSecret))
		case isCommand && i.withoutKeyring():
			r.Remark(fmt.Sprintf("account %q gets its password from a command; if the service cannot run it: %s --for service", a.Name, login))
		case a.Secret[0] != secret.OfKeyring:
		case i.For == "cron" || !hasKeyring(ctx, i.Store, item):
			r.Remark(fmt.Sprintf("account %q has no password here; to store it in a file: %s --for cron", a.Name, login))
		case peek(ctx, i.Store, secret.OfKeyring, item) != nil:
			r.Remark(fmt.Sprintf("account %q has no password here; to store it in your keyring: %s", a.Name, login))
		}
	}
}

// source returns where the password of an account is stored. isNamed reports whether that
// place is the keyring or a file named by the user; otherwise the file is named after the
// account.
func (i *Import) source(account string) (source string, isNamed bool) {
	source = i.Secret
	switch {
	case source != "":
	case i.use.password.kind == secret.Keyring:
		source = secret.OfKeyring.Text()
	case i.use.password.kind == secret.Systemd:
		return "systemd:sendoff-" + account, false
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
		return source + account + ".secret", false
	}
	return source, true
}

// add returns text, a configuration, with the accounts added. An existing configuration
// gets no top-level settings, because they would apply to its own accounts as well. But if
// its only account is the default, the setting account is added, so that it stays the
// default.
func (i *Import) add(r *importer.Reading, file edit.File, text string) (string, error) {
	d := edit.Document{Top: r.Top, Accounts: r.Accounts}
	if _, err := os.Stat(file.Path); err == nil {
		c, err := config.Check(file.Paths, file.Path, text)
		if err != nil {
			return "", err
		}
		for _, a := range c.Accounts {
			if slices.ContainsFunc(r.Accounts, func(t *edit.Table) bool { return t.Name == a.Name }) {
				return "", status.Config.Errorf("account %q already exists, with the same login; to change its password: %s --login %[1]s", a.Name, i.command())
			}
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
