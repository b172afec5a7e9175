// Package secret reads references to secrets: where a password or token is, as the
// configuration says it.
//
//	keyring        Secret Service, macOS Keychain, Windows credentials
//	command:WORDS  first line that a program prints
//	env:NAME       variable of the environment
//	file:PATH      first line of a file
//	systemd:NAME   first line of $CREDENTIALS_DIRECTORY/NAME
//	oauth2:NAME    access token of the provider NAME
//	none           no secret, on purpose
//
// The package does not know how to get a secret: package credential does.
//
// Errors: those of Parse and UnmarshalText never quote the text, which may be a
// password written there by mistake.
package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sendoff/submit/process"
)

// A Kind is a kind of place for secrets.
type Kind uint8

// The kinds of places. The zero Kind is that of the zero Ref.
const (
	_ Kind = iota
	Keyring
	Command
	Env
	File
	Systemd
	OAuth2
	None
	Kinds // how many there are
)

// kinds is what each kind is called and what is known of it without a look at the
// secret.
//
// To add a source: a constant and a row here; a file in package credential that
// gets the secret, and its row in the table there; an item under secret in
// sendoff.toml(5).
var kinds = [Kinds]struct {
	name, takes string
	check       func(arg string) error // nil: takes no argument
	prompts     bool                   // the person at the terminal may be asked for something
	writable    bool                   // a secret can be put there
	given       bool                   // only processes that were started with it have it
	variable    bool                   // the argument names a variable of the environment, which no other program may get
}{
	Keyring: {name: "keyring", prompts: true, writable: true},
	Command: {name: "command", takes: ":WORDS", check: checkCommand, prompts: true},
	Env:     {name: "env", takes: ":NAME", check: checkVariable, given: true, variable: true},
	File:    {name: "file", takes: ":PATH", check: checkPath, writable: true},
	Systemd: {name: "systemd", takes: ":NAME", check: checkCredential, given: true},
	OAuth2:  {name: "oauth2", takes: ":NAME", check: checkProvider},
	None:    {name: "none"},
}

// A Ref is a reference to a secret. Only Parse and UnmarshalText make one that can
// be used. Two are equal if they are written alike.
type Ref struct {
	kind Kind
	arg  string
}

// OfKeyring is the reference to the keyring, which is the one that holds where
// nobody names another.
var OfKeyring = Ref{kind: Keyring}

// Parse reads a reference, in which a path must not be relative.
func Parse(s string) (Ref, error) {
	var r Ref
	err := r.UnmarshalText([]byte(s))
	if r != r.In("/") {
		return Ref{}, errors.New(`secret source file:PATH: the path must be absolute or begin with "~/"`)
	}
	return r, err
}

// UnmarshalText reads a reference as a file has it: see In.
func (r *Ref) UnmarshalText(text []byte) error {
	name, arg, hasArg := strings.Cut(string(text), ":")
	var known []string
	for kind := Keyring; kind < Kinds; kind++ {
		row := kinds[kind]
		known = append(known, row.name+row.takes)
		switch {
		case row.name != name:
			continue
		case row.check == nil && hasArg:
			return fmt.Errorf("secret source %s cannot be combined with others", name)
		case row.check != nil:
			if err := row.check(arg); err != nil {
				return fmt.Errorf("secret source %s: %w", name+row.takes, err)
			}
		}
		*r = Ref{kind, arg}
		return nil
	}
	return fmt.Errorf("unknown secret source; known are %s; the password itself is not allowed here", strings.Join(known, ", "))
}

// MarshalText returns Text, in which the words of a command may be secret.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.Text()), nil }

// In returns the reference that r is in a file of the given folder, below which a
// relative path is. ~/ stays: whoever gets the secret knows the home folder, and
// the short form is what people know the file by.
func (r Ref) In(folder string) Ref {
	if r.kind == File && !filepath.IsAbs(r.arg) && !strings.HasPrefix(r.arg, "~/") {
		r.arg = filepath.Join(folder, r.arg)
	}
	return r
}

// Kind returns what kind of place r is.
func (r Ref) Kind() Kind { return r.kind }

// Arg returns what stands behind the colon, "" if there is none.
func (r Ref) Arg() string { return r.arg }

// Text returns the reference as Parse reads it; "" if r is zero.
func (r Ref) Text() string {
	if kinds[r.kind].check == nil {
		return kinds[r.kind].name
	}
	return kinds[r.kind].name + ":" + r.arg
}

// Texts returns the Text of each of refs.
func Texts(refs []Ref) []string {
	var texts []string
	for _, r := range refs {
		texts = append(texts, r.Text())
	}
	return texts
}

// String returns the reference for people to read: of a command only the
// program, because its other words may be secret.
func (r Ref) String() string {
	switch r.kind {
	case 0:
		return "no secret source"
	case Command:
		argv, _ := process.Argv(r.arg, "")
		return "command " + filepath.Base(argv[0])
	}
	return r.Text()
}

// Prompts reports whether the person at the terminal may be asked for something
// when the secret is got, so that it should be got before anything that waits.
func (r Ref) Prompts() bool { return kinds[r.kind].prompts }

// Writable reports whether a secret can be put there.
func (r Ref) Writable() bool { return kinds[r.kind].writable }

// Given reports whether only those processes have the secret that were started with
// it, by a service manager or a container's.
func (r Ref) Given() bool { return kinds[r.kind].given }

// IsVariable reports whether Arg names a variable of the environment, which no program
// may get that is started later.
func (r Ref) IsVariable() bool { return kinds[r.kind].variable }

// IsOAuth2 reports whether r gives access tokens (RFC 6749).
func (r Ref) IsOAuth2() bool { return r.kind == OAuth2 }

// Provider returns the name of the provider of access tokens; "" if r gives none.
func (r Ref) Provider() string {
	if r.kind == OAuth2 {
		return r.arg
	}
	return ""
}

// Path returns the path of a file that holds the secret, given the home folder; ""
// if the secret is in none.
func (r Ref) Path(home string) string {
	rest, inHome := strings.CutPrefix(r.arg, "~/")
	switch {
	case r.kind != File:
		return ""
	case inHome:
		return filepath.Join(home, rest)
	}
	return r.arg
}

func checkCommand(arg string) error {
	_, err := process.Argv(arg, "")
	return err
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func checkVariable(arg string) error {
	switch {
	case arg == "" || arg[0] >= '0' && arg[0] <= '9' || strings.Trim(arg, nameLetters) != "":
		return errors.New("the name of a variable has letters, digits and _ only")
	case strings.HasPrefix(arg, "SENDOFF_"):
		return errors.New("names that begin with SENDOFF_ are settings; give the variable another name")
	}
	return nil
}

func checkPath(arg string) error {
	switch {
	case strings.ContainsRune(arg, 0):
		return errors.New("NUL in the path")
	case arg == "":
		return errors.New(`the path must be absolute or begin with "~/"`)
	}
	return nil
}

func checkCredential(arg string) error {
	if arg == "" || arg == "." || arg == ".." || strings.ContainsAny(arg, "/\\\x00") {
		return errors.New("the name must be a plain file name")
	}
	return nil
}

func checkProvider(arg string) error {
	if arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("the name must be that of a table [oauth2.NAME]")
	}
	return nil
}
