// Package importer reads the configuration of another program, and returns accounts
// with their passwords, and a remark for each setting that was not imported.
// It writes nothing, and knows neither keyrings nor the network.
//
//	msmtp, ssmtp, nullmailer, dma, Postfix: a file ── entries ── fields ── draft ── account
//	                                                               │
//	                                                               └── remark
//
// Each program has a row in programs, and a table of its keys, with what is done about
// each: a setting of sendoff, or a remark why there is none. A key without a remark was
// imported. To add a key, add a row, and the key to an archive in testdata.
//
// A file that others could have written gives a server, a user and senders, but no
// password, no command and no file.
//
// Errors: a file that cannot be read, is no configuration of a known program, or makes
// no account is of kind status.Config. No error and no remark holds a password.
package importer

import (
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

// A program is one whose configuration can be read.
type program struct {
	name  string
	files []string               // where its file usually is; the first that is there counts
	knows func(path string) bool // whether a file or folder is of this program
	read  func(*Reading) error
}

// programs is the table of programs, in the order in which they are looked for.
func programs() []program {
	return []program{
		{"msmtp", []string{"~/.msmtprc", "~/.config/msmtp/config", "/etc/msmtprc"}, hasKey(msmtpFields(), cutMsmtp), readMsmtp},
		{"ssmtp", []string{"/etc/ssmtp/ssmtp.conf"}, hasKey(ssmtpFields(), cutSsmtp), readSsmtp},
		{"nullmailer", []string{"/etc/nullmailer/remotes"}, isNullmailer, readNullmailer},
		{"dma", []string{"/etc/dma/dma.conf"}, hasKey(dmaFields(), cutDma), readDma},
		{"Postfix", []string{"/etc/postfix/main.cf"}, isPostfix, readPostfix},
	}
}

// A Reader reads the files of other programs. Its fields are the outside world.
type Reader struct {
	Home       string
	ConfigHome string // ~/.config, or what XDG_CONFIG_HOME says
	Root       string // the folder that has /etc and /var; "" is /
	Identity   config.Identity
}

// Read reads the file of a program, or nullmailer's folder; of "" the first that is in
// a usual place. It returns at least one account; say gets what is noticed on the way.
func (in Reader) Read(file string, say func(string)) (*Reading, error) {
	p, path, err := in.find(file, say)
	if err != nil {
		return nil, err
	}
	r := &Reading{Program: p.name, Reader: in, path: path, shared: make(map[string][]entry)}
	if err := p.read(r); err != nil {
		return nil, err
	}
	if r.standard != "" {
		r.Top = append(edit.Settings{{Key: "account", Value: r.standard}}, r.Top...)
	}
	r.distrust()
	if len(r.Accounts) == 0 {
		for _, remark := range r.Remarks {
			say(remark)
		}
		return nil, status.Config.Errorf("%s: no account was imported", path)
	}
	return r, nil
}

// find returns the program and its file.
func (in Reader) find(file string, say func(string)) (program, string, error) {
	if file != "" {
		path, err := filepath.Abs(file)
		if err == nil {
			var f *os.File
			if f, err = os.Open(path); err == nil {
				f.Close()
			}
		}
		if e := new(fs.PathError); errors.As(err, &e) {
			err = fmt.Errorf("%s: %w", path, e.Err)
		}
		if err != nil {
			return program{}, "", status.Config.Errorf("--import: %w", err)
		}
		for _, p := range programs() {
			if p.knows(path) {
				return p, path, nil
			}
		}
		return program{}, "", status.Config.Errorf("%s: not a configuration of msmtp, ssmtp, nullmailer, dma or Postfix", path)
	}
	var found program
	var at string
	for _, p := range programs() {
		for _, usual := range p.files {
			path := in.place(usual)
			switch _, err := os.Stat(path); {
			case err != nil:
			case at == "":
				found, at = p, path
			default:
				say("there is also " + path + "; to import that: sendoff --import " + path)
			}
		}
	}
	if at == "" {
		return found, "", status.Config.Errorf("found no configuration of msmtp, ssmtp, nullmailer, dma or Postfix; name one: sendoff --import=FILE")
	}
	return found, at, nil
}

// place returns where a usual file is.
func (in Reader) place(usual string) string {
	if below, ok := strings.CutPrefix(usual, "~/.config/"); ok {
		return filepath.Join(in.ConfigHome, below)
	}
	if below, ok := strings.CutPrefix(usual, "~/"); ok {
		return filepath.Join(in.Home, below)
	}
	return filepath.Join("/", in.Root, usual)
}

// A Reading is what becomes of one program's files.
type Reading struct {
	edit.Document
	Program   string
	Passwords []Password
	Remarks   []string // for a person, each once

	Reader
	path     string             // the file or folder
	queue    string             // the folder of the program's queue, if the file names one
	standard string             // the default account; "" is none
	shared   map[string][]entry // the lines of single accounts that a setting at the top is from
}

// A Password is one that stands in the program's files.
type Password struct {
	Account *edit.Table // whose secret is yet to name the place that the password goes to
	Item    credential.Item
	Secret  credential.Secret
	At      string // FILE:LINE
}

// IsSame reports whether p and o are one password, for one login.
func (p Password) IsSame(o Password) bool {
	return p.Item == o.Item && p.Secret.Reveal() == o.Secret.Reveal()
}

// An entry is one line of a file: a key and its value, which may be a
// password.
type entry struct {
	key, value string
	at         string // FILE:LINE
}

// firstIsDefault makes the first of several accounts the default.
func (r *Reading) firstIsDefault() {
	if len(r.Accounts) > 1 {
		r.standard = r.Accounts[0].Name
	}
}

// IsSystem reports whether the file is one in /etc, for all users of the machine.
func (r *Reading) IsSystem() bool {
	return strings.HasPrefix(r.path, r.place("/etc")+string(filepath.Separator))
}

// These are texts of several programs.
const (
	alwaysVerifies = "sendoff always verifies certificates. For a self-signed one set tls-fingerprint or tls-ca"
	choosesTLS     = "sendoff chooses TLS versions and ciphers itself"
	caFolder       = "name a file in tls-ca, or the folder in the variable SSL_CERT_DIR"
	laterLine      = "a later line replaces it"
	otherServer    = "it is for another server"
	showsDialogue  = "the option -v shows the dialogue with the server"
)

// switches are values that a remark shows, because they hold no secret.
const switches = " on off yes no "

// dropped says why what e says is not in the result.
func (r *Reading) dropped(e entry, why string) {
	if e.value != "" && strings.Contains(switches, " "+strings.ToLower(e.value)+" ") {
		e.key += " " + e.value
	}
	r.Remark(fmt.Sprintf("%s: %s was not imported: %s", e.at, e.key, why))
}

// droppedIfSet does so for those of entries that have a value.
func (r *Reading) droppedIfSet(why string, entries ...entry) {
	for _, e := range entries {
		if e.value != "" {
			r.dropped(e, why)
		}
	}
}

// note says what else there is to know about e.
func (r *Reading) note(e entry, what string) {
	r.Remark(fmt.Sprintf("%s: %s: %s", e.at, e.key, what))
}

// unknown says that the line at cannot be understood. The line itself may be a
// password in the wrong place.
func (r *Reading) unknown(at string) {
	r.Remark(at + ": this line was not imported: " + r.Program + " has no such setting")
}

// Remark adds a remark.
func (r *Reading) Remark(text string) {
	if !slices.Contains(r.Remarks, text) {
		r.Remarks = append(r.Remarks, text)
	}
}

// maxFile is the size at which a file is taken for something else.
const maxFile = 1 << 20

// readFile returns the text of a file.
func readFile(path string) (string, error) {
	f, err := process.OpenRegular(path)
	if errors.Is(err, process.ErrNotRegular) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		return "", status.Config.Wrap(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(text) > maxFile {
		return "", status.Config.Errorf("%s: larger than 1 MiB, so not a configuration", path)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), status.Config.Wrap(err) // without a byte order mark
}

// beside returns the text of a file that another one may have beside it. One that
// cannot be read does not keep anything else from being imported.
func (r *Reading) beside(path string) (text string, there bool) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if e := new(fs.PathError); errors.As(err, &e) {
		err = fmt.Errorf("%s: %w", path, e.Err)
	}
	if err != nil {
		r.Remark(err.Error() + "; this file was not imported")
	}
	return text, true
}

// distrust takes all but the server, the user and the senders out of what came of a
// file that others could have written: who wrote it chooses at most to whom the mail
// goes, and no password, command or file.
func (r *Reading) distrust() {
	err := trusted(r.path)
	if err == nil {
		return
	}
	var left []string
	only := func(all edit.Settings, keep ...string) edit.Settings {
		return slices.DeleteFunc(all, func(s edit.Setting) bool {
			isKept := slices.Contains(keep, s.Key)
			if !isKept && s.Key != "secret" && !slices.Contains(left, s.Key) {
				left = append(left, s.Key)
			}
			return !isKept
		})
	}
	r.Top = only(r.Top, "account")
	r.Passwords = nil
	r.Accounts = slices.DeleteFunc(r.Accounts, func(a *edit.Table) bool {
		a.Settings = only(a.Settings, "server", "user", "from")
		return slices.ContainsFunc(servers(a), func(s string) bool { return strings.Contains(s, "unix:") })
	})
	r.Remark(r.path + ": other users could have written this file (" + err.Error() + ")")
	text := "so only host, port, user and from were imported"
	if len(left) > 0 {
		text += ", not " + strings.Join(left, ", ")
	}
	r.Remark(text + "; to import all, import a copy that only you can write")
}

// trusted returns why others could have written the file at path, or nil.
func trusted(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return process.Trust(f, path)
}

// readLines returns the lines of a file.
func readLines(path string) ([]entry, error) {
	text, err := readFile(path)
	return lines(path, text), err
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

// space are the characters that part words.
const space = " \t\n\v\f\r"

// splitWords splits a line as nullmailer does, or as netrc's readers do, and reports
// whether all quotes are closed. Quotes of either kind may be anywhere in a word. With
// escapes a backslash takes the meaning of the next character, as in a shell; without
// them a # where a word would begin begins a comment.
func splitWords(line string, escapes bool) (words []string, closed bool) {
	var word strings.Builder
	var quote byte
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case escapes && c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			c = line[i]
		case quote != 0 && c == quote:
			quote = 0
			continue
		case quote != 0:
		case c == '"' || c == '\'':
			quote, inWord = c, true
			continue
		case strings.IndexByte(space, c) >= 0:
			end()
			continue
		case c == '#' && !inWord && !escapes:
			return words, true
		}
		word.WriteByte(c)
		inWord = true
	}
	end()
	return words, quote == 0
}

// hasKey returns a function that reports whether a line of the file at path has one of
// the keys, which cut finds.
func hasKey(fields []field, cut func(line string) (key, value string)) func(path string) bool {
	return func(path string) bool {
		entries, _ := readLines(path)
		return slices.ContainsFunc(entries, func(e entry) bool {
			key, _ := cut(e.value)
			return slices.ContainsFunc(fields, func(f field) bool { return f.key == key })
		})
	}
}
