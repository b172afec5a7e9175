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
// password is printed, unless it is a word of a command. Nothing is written or stored without Write; with it the
// passwords are stored first, so that a configuration that is there works.
func (i *Import) Run(ctx context.Context, out io.Writer, say func(string)) error {
	r, err := i.Read(i.File, say)
	if err != nil {
		return err
	}
	places, err := i.place(ctx, r)
	if err != nil {
		return err
	}
	text := r.Document.String()
	as := r.Program + "'s configuration as TOML"
	if _, err := config.Check(config.Paths{Explicit: as, Home: i.Home}, i.Values, as, text); err != nil {
		return err
	}
	file := edit.Only(i.Target, i.Home, i.Values)
	file.Private = slices.ContainsFunc(r.Accounts, func(a *edit.Table) bool { // the password may be among the words
		return strings.HasPrefix(a.Text("secret"), "command:")
	})
	if i.Write {
		if err := i.absent(file); err != nil {
			return err
		}
		if _, err := file.Check(i.adding(file, r)); err != nil {
			return err
		}
	}
	for _, remark := range r.Remarks {
		say(remark)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if i.Write {
		return i.write(ctx, file, r, places, say)
	}
	for _, p := range places {
		say(fmt.Sprintf("the password in %s: with --write it goes to %s, for %s at %s", p.At, p.ref, p.Item.User, p.Item.Host))
	}
	return nil
}

// A placed password knows where it goes.
type placed struct {
	importer.Password
	ref credential.Ref
}

// place decides where the passwords go, each once, and says so in the document.
// No password takes the place of another: a file of an account gets another
// name, and what a keyring or a file that the user has named would lose is left
// where it is.
func (i *Import) place(ctx context.Context, r *importer.Reading) ([]placed, error) {
	var all []placed
	shelf := i.shelf()
	for _, p := range r.Passwords {
		source := i.Secret
		if source == "" {
			source = "keyring"
			if !hasKeyring(ctx, i.Store, p.Item) {
				source = "file:" + i.folder()
			}
		}
		if folder, ok := strings.CutPrefix(source, "file:"); ok && strings.HasSuffix(folder, "/") {
			source = shelf.free(ctx, source+p.Account.Name+".secret", p.Secret)
			shelf.accounts = append(shelf.accounts, &config.Account{Secret: config.List[string]{source}})
		}
		ref, err := credential.ParseRef(source)
		if err != nil {
			return nil, status.Usage.Errorf("--secret: %w", err)
		}
		if _, err := credential.Writable([]credential.Ref{ref}); err != nil {
			return nil, status.Usage.Errorf("--secret: %w", err)
		}
		p.Account.Set("secret", source)
		isFile := strings.HasPrefix(source, "file:")
		i := slices.IndexFunc(all, func(o placed) bool { return o.ref == ref && (isFile || o.Item == p.Item) })
		switch {
		case i >= 0 && all[i].Secret.Reveal() != p.Secret.Reveal():
			return nil, status.Usage.Errorf("--secret: %s cannot hold the passwords in %s and in %s; with file:FOLDER/ each account has a file", ref, all[i].At, p.At)
		case i >= 0:
		case shelf.other(ctx, ref, p.Item, p.Secret):
			r.Remark(fmt.Sprintf("the password in %s is not stored: %s holds another one, for %s at %s; sendoff --login %s replaces it", p.At, ref, p.Item.User, p.Item.Host, p.Account.Name))
		default:
			all = append(all, placed{p, ref})
		}
	}
	return all, nil
}

// shelf returns what is stored already, as far as can be told now: only for
// Write is a person asked to unlock it.
func (i *Import) shelf() shelf {
	store := *i.Store
	store.Interactive = store.Interactive && i.Write
	s := shelf{store: &store}
	if c, err := config.Load(config.Paths{User: i.Target, Home: i.Home}, i.Values); err == nil {
		s.accounts = c.Accounts
	}
	return s
}

// folder returns where the accounts' own files are: beside the configuration.
func (i *Import) folder() string {
	folder := filepath.ToSlash(filepath.Dir(i.Target))
	if rest, ok := strings.CutPrefix(folder, filepath.ToSlash(i.Home)+"/"); ok && i.Home != "" {
		folder = "~/" + rest
	}
	return folder + "/"
}

// absent returns an error if there is a configuration, unless accounts are to be
// added to it.
func (i *Import) absent(file edit.File) error {
	if _, err := os.Stat(file.Path); err == nil && !i.Add {
		return status.Usage.Errorf("%s is there already; with --add in place of --write the accounts are added to it", file.Path)
	}
	return nil
}

// adding returns what Write does to the configuration. To one that is there only
// accounts are added: what the settings at the top say would be for the other
// accounts, too.
func (i *Import) adding(file edit.File, r *importer.Reading) edit.Change {
	return func(old string) (string, error) {
		d := edit.Document{Top: r.Top, Accounts: r.Accounts}
		if _, err := os.Stat(file.Path); err == nil {
			for _, s := range r.Top {
				r.Remark(fmt.Sprintf("%s is not added: it would be for the other accounts, too", s))
			}
			d.Top = nil
			c, err := config.Check(file.Paths, file.Values, file.Path, old)
			if err != nil {
				return "", err
			}
			if only := c.Standard(); only != nil && c.Account == "" {
				d.Top.Set("account", only.Name)
			}
		}
		return d.AddTo(old)
	}
}

// write stores the passwords and writes the configuration, which may have changed
// by now.
func (i *Import) write(ctx context.Context, file edit.File, r *importer.Reading, places []placed, say func(string)) error {
	err := file.Change(i.adding(file, r), func() error {
		if err := i.absent(file); err != nil {
			return err
		}
		for _, p := range places {
			if err := i.Store.Put(ctx, p.ref, p.Item, p.Secret); err != nil {
				return err
			}
			say(fmt.Sprintf("the password in %s is in %s now, for %s at %s; take it out there once the account works", p.At, p.ref, p.Item.User, p.Item.Host))
		}
		return nil
	})
	if err == nil {
		say("written: " + file.Path)
	}
	return err
}
