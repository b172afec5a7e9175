package setup

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/config/importer"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// An Import takes over the configuration of another program.
type Import struct {
	importer.Reader
	File   string // the file, or nullmailer's folder; "" looks in the usual places
	Secret string // the source where passwords go, file:FOLDER/ for a file of each account; "" chooses
	Target string // the configuration that Write writes to

	Write bool // write the configuration and store the passwords
	Add   bool // with Write: add the accounts to a configuration that is there

	Store *credential.Store
}

// Run prints the configuration on out, and says what else there is to know:
// each thing that could not be carried over, and where each password goes. No
// password is printed, unless it is a word of a command. Nothing is written or stored
// without Write; with it the passwords are stored first, so that a configuration that is
// there works.
func (i *Import) Run(ctx context.Context, out io.Writer, say func(string)) error {
	r, err := i.Read(i.File, say)
	if err != nil {
		return err
	}
	p := &plan{file: edit.File{Path: i.Target, Paths: config.Paths{Explicit: i.Target, Home: i.Home}}}
	if err := i.placePasswords(ctx, r, p); err != nil {
		return err
	}
	text := r.Document.String()
	name := r.Program + "'s configuration as TOML"
	if _, err := config.Check(config.Paths{Explicit: name, Home: i.Home}, name, text); err != nil {
		return err
	}
	p.file.Private = slices.ContainsFunc(r.Accounts, func(a *edit.Table) bool { // the password may be among the words
		return strings.HasPrefix(a.Text("secret"), "command:")
	})
	if i.Write {
		if _, err := os.Stat(i.Target); err == nil && !i.Add {
			return status.Usage.Errorf("%s is there already; with --add in place of --write the accounts are added to it", i.Target)
		}
		p.change = func(text string) (string, error) { return i.add(r, p.file, text) }
		if _, _, err := p.file.Check(p.change); err != nil {
			return err
		}
	}
	for _, remark := range r.Remarks {
		say(remark)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	where := "the password in %s: with --write it goes to %s, for %s at %s"
	if i.Write {
		if err := p.apply(ctx, i.Store); err != nil {
			return err
		}
		where = "the password in %s is in %s now, for %s at %s; take it out there once the account works"
	}
	for _, k := range p.secrets {
		say(fmt.Sprintf(where, k.at, k.ref, k.item.User, k.item.Host))
	}
	if i.Write {
		say("written: " + i.Target)
		if p.file.Private {
			say("only its owner can read " + i.Target + " (mode 0600): a command may have the password among its words")
		}
	}
	return nil
}

// placePasswords decides where the passwords go, each once, and says so in the accounts. No
// password takes the place of another: one that a keyring or a file that the user has
// named would lose stays where it is, and the password is not stored.
func (i *Import) placePasswords(ctx context.Context, r *importer.Reading, p *plan) error {
	store := *i.Store
	store.Interactive = store.Interactive && i.Write // else nobody is asked to unlock it
	for _, password := range r.Passwords {
		source, isNamed := i.source(ctx, password)
		ref, err := credential.ParseRef(source)
		if err == nil {
			_, err = credential.Writable([]credential.Ref{ref})
		}
		if err != nil {
			return status.Usage.Errorf("--secret: %w", err)
		}
		password.Account.Set("secret", source)
		k := placedSecret{ref, password.Item, password.Secret, password.At}
		n := slices.IndexFunc(p.secrets, func(o placedSecret) bool {
			return o.ref == ref && (strings.HasPrefix(source, fileSource) || o.item == k.item)
		})
		switch {
		case n >= 0 && p.secrets[n].secret.Reveal() != k.secret.Reveal():
			return status.Usage.Errorf("--secret: %s cannot hold the passwords in %s and in %s; with file:FOLDER/ each account has a file", ref, p.secrets[n].at, k.at)
		case n >= 0:
		case !holdsOther(ctx, &store, ref, k.item, k.secret):
			p.secrets = append(p.secrets, k)
		case isNamed:
			r.Remark(fmt.Sprintf("the password in %s is not stored: %s holds another one, for %s at %s; sendoff --login %s replaces it", k.at, ref, k.item.User, k.item.Host, password.Account.Name))
		default: // whose it is, and for which server, nobody knows
			return status.Usage.Errorf("%s holds another secret; delete that file, or name another folder with --secret file:FOLDER/", ref)
		}
	}
	return nil
}

// source returns where a password goes, and whether that is the keyring or a file that
// the user has named, rather than a file that is named after the account.
func (i *Import) source(ctx context.Context, p importer.Password) (source string, isNamed bool) {
	source = i.Secret
	if source == "" && hasKeyring(ctx, i.Store, p.Item) {
		source = "keyring"
	}
	if source == "" {
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

// add returns the text of the configuration with the accounts. To one that is there
// nothing else is added: what the settings at the top say would be for the other
// accounts, too; but the account that was the default as its only one stays that.
func (i *Import) add(r *importer.Reading, file edit.File, text string) (string, error) {
	d := edit.Document{Top: r.Top, Accounts: r.Accounts}
	if _, err := os.Stat(file.Path); err == nil {
		for _, s := range r.Top {
			r.Remark(fmt.Sprintf("%s is not added: it would be for the other accounts, too", s))
		}
		d.Top = nil
		c, err := config.Check(file.Paths, file.Path, text)
		if err != nil {
			return "", err
		}
		if only := c.Standard(); only != nil && c.Account == "" {
			d.Top.Set("account", only.Name)
		}
	}
	return d.AddTo(text)
}
