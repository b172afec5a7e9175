// Package secret reads references to secrets. A reference says where a password or token
// is; the configuration holds references, never secrets.
//
//	keyring        Secret Service, macOS Keychain, Windows credentials
//	command:WORDS  first line that a program prints
//	env:NAME       variable of the environment
//	file:PATH      first line of a file
//	systemd:NAME   first line of $CREDENTIALS_DIRECTORY/NAME
//	oauth2:NAME    access token of the provider NAME
//	none           no secret, on purpose
//
// This package does not read secrets: package credential does.
//
// Errors: the errors of Parse and UnmarshalText never quote the text, because it may be a
// password that somebody wrote there by mistake.
package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sendoff/submit/process"
)

// A Kind says in which kind of place a secret is.
type Kind uint8

// The kinds of places. The zero Kind belongs to the zero Ref.
const (
	_ Kind = iota
	Keyring
	Command
	Env
	File
	Systemd
	OAuth2
	None
	Kinds // the number of kinds plus one, for the zero Kind
)

// kinds has a row for each kind: its name, its argument, and what is known about it without
// reading a secret.
//
// To add a kind: add a constant and a row here; a file in package credential that reads the
// secret, and a row in its sourceOf; an item under secret in sendoff.toml(5).
var kinds = [Kinds]struct {
	name, takes string
	check       func(arg string) error // nil: the kind has no argument
	prompts     bool                   // reading the secret may prompt the person at the terminal
	writable    bool                   // a secret can be stored there
	given       bool                   // only a process that was started with the secret has it
	variable    bool                   // the argument names an environment variable that programs we start must not inherit
}{
	Keyring: {name: "keyring", prompts: true, writable: true},
	Command: {name: "command", takes: ":WORDS", check: checkCommand, prompts: true},
	Env:     {name: "env", takes: ":NAME", check: checkVariable, given: true, variable: true},
	File:    {name: "file", takes: ":PATH", check: checkPath, writable: true},
	Systemd: {name: "systemd", takes: ":NAME", check: checkCredential, given: true},
	OAuth2:  {name: "oauth2", takes: ":NAME", check: checkProvider},
	None:    {name: "none"},
}

// A Ref is a reference to a secret. Use Parse or UnmarshalText to make a valid one. Two
// Refs with the same text are equal.
type Ref struct {
	kind Kind
	arg  string
}

// OfKeyring is the reference to the keyring: the default if an account names no reference.
var OfKeyring = Ref{kind: Keyring}

// Parse reads a reference. The path of a file must be absolute or begin with "~/".
func Parse(s string) (Ref, error) {
	var r Ref
	err := r.UnmarshalText([]byte(s))
	if r != r.In("/") {
		return Ref{}, errors.New(`secret source file:PATH: the path must be absolute or begin with "~/"`)
	}
	return r, err
}

// UnmarshalText reads a reference of a configuration file. The path may be relative: see
// In.
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

// MarshalText returns Text. In the reference to a command, any word may be secret.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.Text()), nil }

// In returns r with a relative path joined to folder, the folder of the file that contains
// r. A path that begins with ~/ stays as it is: package credential knows the home folder,
// and people know the file by the short form. So does one that begins with /, on Windows too:
// it may be of a container.
func (r Ref) In(folder string) Ref {
	if r.kind == File && !filepath.IsAbs(r.arg) && !strings.HasPrefix(r.arg, "/") && !strings.HasPrefix(r.arg, "~/") {
		r.arg = filepath.Join(folder, r.arg)
	}
	return r
}

// Kind returns the kind of r.
func (r Ref) Kind() Kind { return r.kind }

// Arg returns the text after the colon; "" if there is no colon.
func (r Ref) Arg() string { return r.arg }

// Text returns the reference in the form that Parse reads; "" if r is zero.
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

// String returns the reference for people to read. Of a command it shows only the program,
// because the other words may be secret.
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

// Prompts reports whether reading the secret may prompt the person at the terminal. Then it
// should be read before anything that takes time.
func (r Ref) Prompts() bool { return kinds[r.kind].prompts }

// Writable reports whether a secret can be stored at r.
func (r Ref) Writable() bool { return kinds[r.kind].writable }

// Given reports whether only processes that were started with the secret have it: a service
// manager or a container has passed it to them.
func (r Ref) Given() bool { return kinds[r.kind].given }

// IsVariable reports whether Arg names an environment variable, which programs that we
// start later must not inherit.
func (r Ref) IsVariable() bool { return kinds[r.kind].variable }

// IsOAuth2 reports whether r stands for access tokens (RFC 6749).
func (r Ref) IsOAuth2() bool { return r.kind == OAuth2 }

// Provider returns the provider's name if r is of the kind OAuth2; otherwise "".
func (r Ref) Provider() string {
	if r.kind == OAuth2 {
		return r.arg
	}
	return ""
}

// Path returns the path of the file that has the secret; "~/" becomes home. It returns ""
// if r is not of the kind File.
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
