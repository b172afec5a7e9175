package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A program is one whose configuration can be taken over.
type program struct {
	name   string
	places []string                // its files; the first that is there counts
	knows  func(place string) bool // whether a file or folder is of this program
	read   func(*reading) error
}

// programs is the table of programs, in the order in which they are looked for.
func programs() []program {
	return []program{
		{"msmtp", []string{"~/.msmtprc", "~/.config/msmtp/config", "/etc/msmtprc"}, isMsmtp, readMsmtp},
		{"ssmtp", []string{"/etc/ssmtp/ssmtp.conf"}, isSsmtp, readSsmtp},
		{"nullmailer", []string{"/etc/nullmailer/remotes"}, isNullmailer, readNullmailer},
		{"dma", []string{"/etc/dma/dma.conf"}, isDma, readDma},
	}
}

// An Import takes over the configuration of another program. Its fields are the
// outside world.
type Import struct {
	File   string // the file, or nullmailer's folder; "" looks at the well-known places
	Secret string // the source where passwords go, file:FOLDER/ for a file of each account; "" chooses
	Target string // the configuration that Write writes to

	Write bool // write the configuration and store the passwords
	Add   bool // with Write: add the accounts to a configuration that is there

	Home       string
	ConfigHome string // ~/.config, or what XDG_CONFIG_HOME says
	Identity   config.Identity
	Values     config.Values
	Store      *credential.Store
}

// Run prints the configuration on out, and says what else there is to know:
// each thing that could not be carried over, and where each password goes. No
// password is printed. Nothing is written or stored without Write; with it the
// passwords are stored first, so that a configuration that is there works.
func (i *Import) Run(ctx context.Context, out io.Writer, say func(string)) error {
	r, err := i.read(say)
	if err != nil {
		return err
	}
	places, err := i.place(ctx, r)
	if err != nil {
		return err
	}
	text := r.Document.String()
	as := r.program + "'s configuration as TOML"
	if _, err := config.Check(config.Paths{Explicit: as, Home: i.Home}, i.Values, as, text); err != nil {
		return err
	}
	file := edit.Only(i.Target, i.Home, i.Values)
	if i.Write {
		if err := i.absent(file); err != nil {
			return err
		}
		if _, err := file.Check(i.adding(file, r)); err != nil {
			return err
		}
	}
	for _, remark := range r.remarks {
		say(remark)
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if i.Write {
		return i.write(ctx, file, r, places, say)
	}
	for _, p := range places {
		say(fmt.Sprintf("the password in %s: with --write it goes to %s, for %s at %s", p.at, p.ref, p.item.User, p.item.Host))
	}
	return nil
}

// read finds out which program's files are meant, and reads them.
func (i *Import) read(say func(string)) (*reading, error) {
	p, place, err := i.find(say)
	if err != nil {
		return nil, err
	}
	r := &reading{program: p.name, path: place, home: i.Home, id: i.Identity, values: i.Values}
	if err := p.read(r); err != nil {
		return nil, err
	}
	r.distrust()
	if len(r.Accounts) == 0 {
		for _, remark := range r.remarks {
			say(remark)
		}
		return nil, status.Config.Errorf("%s: no account can be made of it", place)
	}
	return r, nil
}

// find returns the program and its file: the one that File names, or the first
// that is in a well-known place.
func (i *Import) find(say func(string)) (program, string, error) {
	if i.File != "" {
		path, err := filepath.Abs(i.File)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return program{}, "", status.Config.Wrap(err)
		}
		for _, p := range programs() {
			if p.knows(path) {
				return p, path, nil
			}
		}
		return program{}, "", status.Config.Errorf("%s: neither msmtp's nor ssmtp's, nullmailer's or dma's configuration, or not readable", path)
	}
	var found program
	var at string
	var looked []string
	for _, p := range programs() {
		for _, place := range p.places {
			path := place
			if rest, ok := strings.CutPrefix(place, "~/.config/"); ok {
				path = filepath.Join(i.ConfigHome, rest)
			} else if rest, ok := strings.CutPrefix(place, "~/"); ok {
				path = filepath.Join(i.Home, rest)
			}
			looked = append(looked, place)
			switch _, err := os.Stat(path); {
			case err != nil:
			case at == "":
				found, at = p, path
			default:
				say(fmt.Sprintf("%s is there too; sendoff --import=%s takes it over", path, path))
			}
		}
	}
	if at == "" {
		return found, "", status.Config.Errorf("nothing found to take over; looked for %s", strings.Join(looked, ", "))
	}
	return found, at, nil
}

// A placed password knows where it goes.
type placed struct {
	passwordAt
	ref credential.Ref
}

// place decides where the passwords go, each once, and says so in the document.
// No password takes the place of another: a file of an account gets another
// name, and what a keyring or a file that the user has named would lose is left
// where it is.
func (i *Import) place(ctx context.Context, r *reading) ([]placed, error) {
	var all []placed
	shelf := i.shelf()
	for _, p := range r.passwords {
		source := i.Secret
		if source == "" {
			source = "keyring"
			if !hasKeyring(ctx, i.Store, p.item) {
				source = "file:" + i.folder()
			}
		}
		if folder, ok := strings.CutPrefix(source, "file:"); ok && strings.HasSuffix(folder, "/") {
			source = shelf.free(ctx, source+p.account.Name+".secret", p.secret)
			shelf.accounts = append(shelf.accounts, &config.Account{Secret: config.List[string]{source}})
		}
		ref, err := credential.ParseRef(source)
		if err != nil {
			return nil, status.Usage.Errorf("--secret: %w", err)
		}
		if _, err := credential.Writable([]credential.Ref{ref}); err != nil {
			return nil, status.Usage.Errorf("--secret: %w", err)
		}
		p.account.Set("secret", source)
		isFile := strings.HasPrefix(source, "file:")
		i := slices.IndexFunc(all, func(o placed) bool { return o.ref == ref && (isFile || o.item == p.item) })
		switch {
		case i >= 0 && all[i].secret.Reveal() != p.secret.Reveal():
			return nil, status.Usage.Errorf("--secret: %s cannot hold the passwords in %s and in %s; with file:FOLDER/ each account has a file", ref, all[i].at, p.at)
		case i >= 0:
		case shelf.other(ctx, ref, p.item, p.secret):
			r.remark(fmt.Sprintf("the password in %s is not stored: %s holds another one, for %s at %s; sendoff --login %s replaces it", p.at, ref, p.item.User, p.item.Host, p.account.Name))
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
func (i *Import) adding(file edit.File, r *reading) edit.Change {
	return func(old string) (string, error) {
		d := edit.Document{Top: r.Top, Accounts: r.Accounts}
		if _, err := os.Stat(file.Path); err == nil {
			for _, s := range r.Top {
				r.remark(fmt.Sprintf("%s is not added: it would be for the other accounts, too", s))
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
func (i *Import) write(ctx context.Context, file edit.File, r *reading, places []placed, say func(string)) error {
	err := file.Change(i.adding(file, r), func() error {
		if err := i.absent(file); err != nil {
			return err
		}
		for _, p := range places {
			if err := i.Store.Put(ctx, p.ref, p.item, p.secret); err != nil {
				return err
			}
			say(fmt.Sprintf("the password in %s is in %s now, for %s at %s; take it out there once the account works", p.at, p.ref, p.item.User, p.item.Host))
		}
		return nil
	})
	if err == nil {
		say("written: " + file.Path)
	}
	return err
}

// A reading is what becomes of one program's files.
type reading struct {
	edit.Document
	program   string
	path      string // the file or folder
	home      string
	id        config.Identity
	values    config.Values
	passwords []passwordAt
	shared    []shared
	remarks   []string
}

// A shared setting is one for all accounts that a line of one account is about.
type shared struct {
	by      entry
	setting string
}

// A passwordAt is a password that stands in the program's files.
type passwordAt struct {
	account *edit.Table
	item    credential.Item
	secret  credential.Secret
	at      string // FILE:LINE
}

// An entry is one line of a file: a key and its value, which may be a
// password.
type entry struct {
	key, value string
	at         string // FILE:LINE
}

// dropped says why what e says is not in the result.
func (r *reading) dropped(e entry, why string) {
	r.remark(fmt.Sprintf("%s: %s is not carried over: %s", e.at, e.key, why))
}

// note says what else there is to know about e.
func (r *reading) note(e entry, what string) {
	r.remark(fmt.Sprintf("%s: %s: %s", e.at, e.key, what))
}

// unknown says that the line at cannot be understood. The line itself may be a
// password in the wrong place.
func (r *reading) unknown(at string) {
	r.remark(at + ": this line is not carried over: " + r.program + " has no such setting")
}

func (r *reading) remark(text string) {
	if !slices.Contains(r.remarks, text) {
		r.remarks = append(r.remarks, text)
	}
}

// global sets a setting at the top, of which there is one for all accounts.
func (r *reading) global(key, value string) string {
	for _, s := range r.Top {
		if s.Key == key && s.Value != value {
			return key + " is one for all accounts, and another account has it already"
		}
	}
	r.Top.Set(key, value)
	return ""
}

// maxFile is the size at which a file is taken for something else.
const maxFile = 1 << 20

// readFile returns the text of a file.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(text) > maxFile {
		return "", fmt.Errorf("%s: larger than 1 MiB, so not a configuration", path)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), err // a byte order mark
}

// optional is readFile for a file that need not be there.
func optional(path string) (text string, there bool, err error) {
	text, err = readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return text, err == nil, status.Config.Wrap(err)
}

// beside returns the text of a file that another one may have beside it. One that
// cannot be read keeps nothing else from being carried over.
func (r *reading) beside(path string) (text string, there bool) {
	text, there, err := optional(path)
	if e := new(fs.PathError); errors.As(err, &e) {
		err = fmt.Errorf("%s: %w", path, e.Err)
	}
	if err != nil {
		r.remark(err.Error() + "; nothing of it is carried over")
	}
	return text, there || err != nil
}

// trusted returns why nobody should run a command that stands in the file at
// path, or nil.
func trusted(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return process.Trust(f, path)
}

// believed are the settings that a file may give that others could have written:
// who wrote it chooses at most to whom the mail goes, and no password, file or
// command of ours.
var believed = [...]string{"server", "user", "from"}

// distrust takes all but the believed settings out of what came of a file that
// others could have written.
func (r *reading) distrust() {
	err := trusted(r.path)
	if err == nil {
		return
	}
	var left []string
	only := func(all edit.Settings, keep ...string) edit.Settings {
		return slices.DeleteFunc(all, func(s edit.Setting) bool {
			taken := slices.Contains(keep, s.Key)
			if !taken && s.Key != "secret" && !slices.Contains(left, s.Key) {
				left = append(left, s.Key)
			}
			return !taken
		})
	}
	r.Top = only(r.Top, "account")
	r.passwords = nil
	r.Accounts = slices.DeleteFunc(r.Accounts, func(a *edit.Table) bool {
		a.Settings = only(a.Settings, believed[:]...)
		return slices.ContainsFunc(servers(a), func(s string) bool { return strings.Contains(s, "unix:") })
	})
	text := "others could have written this file (" + err.Error() + "): host, port, user and from are carried over, nothing else; of a copy of your own, all is"
	if len(left) > 0 {
		text += " (" + strings.Join(left, ", ") + ")"
	}
	r.remark(r.path + ": " + text)
}

// lines returns the lines of text that are not empty and no comments, and
// where they are.
func lines(path, text string) []entry {
	var all []entry
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			all = append(all, entry{value: line, at: fmt.Sprintf("%s:%d", path, n)})
		}
	}
	return all
}

// anyLine reports whether some line of the file at path is as known says.
func anyLine(path string, known func(line string) bool) bool {
	text, err := readFile(path)
	return err == nil && slices.ContainsFunc(lines(path, text), func(e entry) bool { return known(e.value) })
}
