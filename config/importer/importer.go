// Package importer reads the configuration of another program. It returns accounts with
// their passwords, and a remark for each setting that was not imported. It writes nothing,
// and uses neither a keyring nor the network.
//
//	msmtp, ssmtp, nullmailer, dma, Postfix: a file ── entries ── fields ── draft ── account
//	                                                               │
//	                                                               └── remark
//
// Each program has a row in programs, and a table of its keys. For each key the table has
// the setting of sendoff, or a remark that says why there is none. To add a key, add a row,
// and add the key to an archive in testdata.
//
// From a file that other users can write, only the server, the user and the senders are
// imported, but no password, command or file name.
//
// Errors: status.Config if a file cannot be read, is not the configuration of a known
// program, or has no account. No error and no remark contains a password.
package importer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A program is another mailer whose configuration can be imported.
type program struct {
	name   string
	files  []string               // the usual paths of its configuration; the first that exists counts
	isFile func(path string) bool // reports whether a file or folder is a configuration of this program
	read   func(*Reading) error
}

// programs returns the table of programs, in the order in which their files are searched.
func programs() []program {
	return []program{
		{"msmtp", []string{"~/.msmtprc", "~/.config/msmtp/config", "~/.config/msmtprc.txt", "/etc/msmtprc"}, hasKey(msmtpFields(), cutMsmtp), readMsmtp},
		{"ssmtp", []string{"/etc/ssmtp/ssmtp.conf"}, hasKey(ssmtpFields(), cutSsmtp), readSsmtp},
		{"nullmailer", []string{"/etc/nullmailer/remotes"}, isNullmailer, readNullmailer},
		{"dma", []string{"/etc/dma/dma.conf"}, hasKey(dmaFields(), cutDma), readDma},
		{"Postfix", []string{"/etc/postfix/main.cf"}, isPostfix, readPostfix},
	}
}

// A Reader reads the files of other programs. Its fields describe the system and the user.
type Reader struct {
	Home       string
	ConfigHome string // $XDG_CONFIG_HOME, ~/.config, or %APPDATA%, where msmtp's file is msmtprc.txt
	Root       string // the folder that contains /etc and /var; "": /
	Identity   config.Identity
}

// Read reads the file of a program, or nullmailer's folder; for "", the first usual file
// that exists. The result has at least one account. say is called with other files that
// were found, and, if there is no account, with the remarks.
func (in Reader) Read(file string, say func(string)) (*Reading, error) {
	p, path, err := in.find(file, say)
	if err != nil {
		return nil, err
	}
	r := &Reading{Program: p.name, Reader: in, path: path, names: make(map[string]int), remarked: make(map[string]bool), shared: make(map[string][]entry)}
	if err := p.read(r); errors.Is(err, fs.ErrPermission) {
		return nil, status.Config.Errorf("--import: %w", err)
	} else if err != nil {
		return nil, err
	}
	if r.defaultAccount != "" {
		r.Top = append(edit.Settings{{Key: "account", Value: r.defaultAccount}}, r.Top...)
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

// find returns the program that file belongs to, and the path of the file.
func (in Reader) find(file string, say func(string)) (program, string, error) {
	if file != "" {
		path, err := filepath.Abs(file)
		if err == nil {
			if info, e := os.Stat(path); e == nil && !info.IsDir() {
				_, err = readFile(path)
			} else {
				_, err = os.ReadDir(path)
				err = withPath(path, err)
			}
		}
		if err != nil {
			return program{}, "", status.Config.Errorf("--import: %w", err)
		}
		for _, p := range programs() {
			if p.isFile(path) {
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

// place returns the path of a usual file.
func (in Reader) place(usual string) string {
	if below, ok := strings.CutPrefix(usual, "~/.config/"); ok {
		return filepath.Join(in.ConfigHome, below)
	}
	if below, ok := strings.CutPrefix(usual, "~/"); ok {
		return filepath.Join(in.Home, below)
	}
	if runtime.GOOS == "windows" {
		return "" // it has no such folders
	}
	return filepath.Join("/", in.Root, usual)
}

// A Reading is the result of importing a program's files.
type Reading struct {
	edit.Document
	Program   string
	Passwords []Password
	Remarks   []string // for a person, without duplicates

	Reader
	path           string             // the file or folder
	queue          string             // the folder of the program's queue, if the file names one
	defaultAccount string             // the name of the default account; "": none
	names          map[string]int     // the accounts' names, with the number of accounts that wanted each
	remarked       map[string]bool    // Remarks, as a set
	shared         map[string][]entry // for each top-level setting, the lines of accounts that have set it
}

// A Password is a password from the program's files.
type Password struct {
	Account *edit.Table // the account whose setting secret will say where the password is stored
	Item    credential.Item
	Secret  credential.Secret
	At      string // FILE:LINE
}

// An entry is a line of a file: a key and its value, which may be a password.
type entry struct {
	key, value string
	at         string // FILE:LINE
}

// firstIsDefault makes the first account the default, if there are several.
func (r *Reading) firstIsDefault() {
	if len(r.Accounts) > 1 {
		r.defaultAccount = r.Accounts[0].Name
	}
}

// IsSystem reports whether the file is in /etc, for all users of this machine.
func (r *Reading) IsSystem() bool {
	return strings.HasPrefix(r.path, r.place("/etc")+string(filepath.Separator))
}

// Texts that several programs share.
const (
	alwaysVerifies = "sendoff always verifies certificates. For a self-signed one set tls-fingerprint or tls-ca"
	choosesTLS     = "sendoff chooses TLS versions and ciphers itself"
	caFolder       = "name a file in tls-ca, or the folder in the variable SSL_CERT_DIR"
	laterLine      = "a later line replaces it"
	otherServer    = "it is for another server"
	showsDialogue  = "the option -v shows the dialogue with the server"
)

// switches are the values that a remark may show, because they are never secret.
const switches = " on off yes no "

// dropped adds a remark that e was not imported, and why.
func (r *Reading) dropped(e entry, why string) {
	if e.value != "" && strings.Contains(switches, " "+strings.ToLower(e.value)+" ") {
		e.key += " " + e.value
	}
	r.Remark(fmt.Sprintf("%s: %s was not imported: %s", e.at, e.key, why))
}

// droppedIfSet calls dropped for the entries that have a value.
func (r *Reading) droppedIfSet(why string, entries ...entry) {
	for _, e := range entries {
		if e.value != "" {
			r.dropped(e, why)
		}
	}
}

// note adds a remark about e.
func (r *Reading) note(e entry, what string) {
	r.Remark(fmt.Sprintf("%s: %s: %s", e.at, e.key, what))
}

// unknown adds a remark that a line has no known key. It does not show the line, which may
// be a password in the wrong place.
func (r *Reading) unknown(at string) {
	r.Remark(at + ": this line was not imported: " + r.Program + " has no such setting")
}

// Remark adds a remark, unless r has it already.
func (r *Reading) Remark(text string) {
	if !r.remarked[text] {
		r.remarked[text] = true
		r.Remarks = append(r.Remarks, text)
	}
}

// maxFile is the largest size of a configuration file, in octets.
const maxFile = 1 << 20

// readFile returns the text of a file, without a byte order mark.
func readFile(path string) (string, error) {
	f, err := process.OpenRegular(path)
	if err != nil {
		return "", status.Config.Wrap(withPath(path, err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(text) > maxFile {
		return "", status.Config.Errorf("%s: larger than 1 MiB, so not a configuration", path)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), status.Config.Wrap(err)
}

// beside returns the text of a file that may accompany the configuration; there is false if
// it does not exist. If it cannot be read, beside adds a remark, and the import goes on.
func (r *Reading) beside(path string) (text string, there bool) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	var untrusted error
	if err == nil { // not for a FIFO, whose opening would wait
		untrusted = trusted(path)
	}
	if untrusted != nil {
		text, err = "", fmt.Errorf("%s: other users could have written this file (%w)", path, untrusted)
	}
	if err != nil {
		r.Remark(err.Error() + "; this file was not imported")
	}
	if errors.Is(err, fs.ErrPermission) && !strings.ContainsFunc(r.path, needsQuotes) {
		r.Remark("to import it too, run this as root: sudo sendoff --import " + r.path)
	}
	return text, true
}

// withPath returns err with the path before it, without the name of a system call.
func withPath(path string, err error) error {
	if e := new(fs.PathError); errors.As(err, &e) {
		err = e.Err
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// distrust removes everything but the server, the user and the senders if other users can
// write the file. They may then at most choose where mail goes, but no password, command or
// file name.
func (r *Reading) distrust() {
	err := trusted(r.path)
	if err == nil {
		return
	}
	var omitted []string
	only := func(all edit.Settings, keep ...string) edit.Settings {
		return slices.DeleteFunc(all, func(s edit.Setting) bool {
			isKept := slices.Contains(keep, s.Key)
			if !isKept && s.Key != "secret" && !slices.Contains(omitted, s.Key) {
				omitted = append(omitted, s.Key)
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
	if len(omitted) > 0 {
		text += ", not " + strings.Join(omitted, ", ")
	}
	r.Remark(text + "; to import all, import a copy that only you can write")
}

// trusted returns an error if other users can write the file at path.
func trusted(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return process.Trust(f, path)
}

// readLines returns the lines of a file; see lines.
func readLines(path string) ([]entry, error) {
	text, err := readFile(path)
	return lines(path, text), err
}

// lines returns the lines of text with their places, without empty lines and comments.
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

// space has the characters that separate words.
const space = " \t\n\v\f\r"

// splitWords splits a line as nullmailer or a reader of netrc does. closed reports whether
// all quotes are closed. Quotes may be anywhere in a word. With escapes, a backslash quotes
// the next character, as in a shell. Without escapes, a # at the beginning of a word begins
// a comment.
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

// hasKey returns a function that reports whether a file has a line with one of the keys.
// cut returns the key and value of a line.
func hasKey(fields []field, cut func(line string) (key, value string)) func(path string) bool {
	return func(path string) bool {
		entries, _ := readLines(path)
		return slices.ContainsFunc(entries, func(e entry) bool {
			key, _ := cut(e.value)
			return slices.ContainsFunc(fields, func(f field) bool { return f.key == key })
		})
	}
}
