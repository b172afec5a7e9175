package setup

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/config/cmdline"
	"sendoff/config/edit"
	"sendoff/config/importer"
	"sendoff/submit/process"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// columns is the maximum width of a line after the program's name.
const columns = 100 - len("sendoff: ")

// folded returns a function that splits long lines, and replaces the home folder by ~,
// before it calls say. It does not split a command, because people paste it.
func (i *Import) folded(say func(string)) func(string) {
	return func(line string) {
		line = status.Printable(line) // text that is not UTF-8 would be longer after the count of characters
		if len(i.Home) > 1 {
			line = strings.ReplaceAll(line, i.Home+string(filepath.Separator), "~"+string(filepath.Separator))
		}
		for utf8.RuneCountInString(line) > columns && !status.IsCommand(line) {
			begin := string([]rune(line)[:columns])
			end := 0
			for _, marks := range [][]string{{"; ", ": ", ". "}, {" ("}, {" "}} {
				for _, mark := range marks {
					end = max(end, strings.LastIndex(begin, mark)+1)
				}
				if end >= columns/5 {
					break
				}
			}
			if end < columns/5 {
				break // the line begins with a very long word
			}
			say(strings.TrimRight(line[:end], " "))
			line = "  " + strings.TrimSpace(line[end:])
		}
		say(line)
	}
}

// sayPasswords says where each password is, or will be, stored.
func (i *Import) sayPasswords(ctx context.Context, r *importer.Reading, p *plan, say func(string)) {
	for _, k := range p.secrets {
		where := k.ref.String()
		if k.ref == secret.OfKeyring {
			where = "your keyring"
		}
		if strings.HasPrefix(where, fileSource) {
			where += process.Mode0600
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
		say("only root can read that file: only root's mail leaves; see sendoff-server(7)")
	case i.For != "" || i.Secret != "" || !hasKeyring(ctx, i.Store, p.secrets[0].item):
	case i.Write:
		say("to keep it in your keyring instead: " + i.command() + " --login " + name + " --for desktop")
	default:
		say("to keep it in your keyring instead, add --for desktop")
	}
}

// command returns the words with which sendoff uses the written configuration.
func (i *Import) command() string {
	if i.Target == i.Paths.User || i.Target == i.Paths.System {
		return "sendoff"
	}
	return "sendoff --config " + process.ShellWord(i.Target)
}

// again returns the command that repeats this import with another option.
func (i *Import) again(option string) string {
	words := i.command() + " --import"
	if i.File != "" {
		words += " " + process.ShellWord(i.File)
	}
	if i.For != "" {
		words += " --for " + i.For
	}
	if i.Secret != "" {
		words += " --secret " + process.ShellWord(i.Secret)
	}
	return words + " " + option
}

// sayDone says what was written, and what the user should do next.
func (i *Import) sayDone(r *importer.Reading, p *plan, made *config.Config, say func(string)) {
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
		say("nothing was written: " + i.Target + " already exists; to add the accounts to it: " + i.again("--add"))
	case !i.Write:
		say("nothing was written; to write " + i.Target + ": " + i.again("--write"))
	default:
		i.sayWritten(r, p, made, say)
	}
}

// sayWritten says where the accounts are, and how to try the first.
func (i *Import) sayWritten(r *importer.Reading, p *plan, made *config.Config, say func(string)) {
	say("written: " + i.Target)
	if p.file.Private && process.Mode0600 != "" {
		say("only its owner can read that file (mode 0600): a command in it may contain the password")
	}
	var places []string
	for _, k := range p.secrets {
		if !slices.Contains(places, k.at) {
			places = append(places, k.at)
		}
	}
	if len(places) > 0 {
		say("once mail leaves, delete the password from " + strings.Join(places, " and "))
	}
	a := standard(made)
	say("to check each step: " + i.command() + " --doctor " + a.Name)
	if own, ok := a.Address(); ok && process.ShellWord(own.String()) == own.String() {
		say(fmt.Sprintf("to try it: echo test | %s -a %s %s", i.command(), a.Name, own))
	}
	i.ForAll = i.forAll(r, a)
}

// forAll returns the answers with which a service can send for all users instead of a, an
// account for everybody with a password that only root can read; nil: a is another account,
// or has settings that --setup does not know.
func (i *Import) forAll(r *importer.Reading, a *config.Account) *Setup {
	own, ok := a.Address()
	path := ""
	if len(a.Secret) == 1 {
		path = a.Secret[0].Path(i.Home)
	}
	if i.Target != i.Paths.System || i.Identity.UID != 0 || !ok || path == "" {
		return nil
	}
	for _, t := range r.Accounts {
		for _, s := range t.Settings {
			if t.Name == a.Name && !slices.Contains(variableSettings, s.Key) {
				return nil
			}
		}
	}
	return &Setup{Address: own.String(), Account: a.Name, Server: edit.URL(a.Servers[0]), User: a.User, Answers: cmdline.Answers{PasswordFile: path}}
}

// variableSettings are the settings of an account that variables, or the answers to --setup,
// can have.
var variableSettings = []string{"server", "user", "from", "secret"}

// standard returns the default account; without one, the first account.
func standard(made *config.Config) *config.Account {
	if a := made.Standard(); a != nil {
		return a
	}
	return made.Accounts[0]
}

// A sayer writes each line by a call of itself.
type sayer func(string)

func (say sayer) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		say(strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}

// conversation returns a conversation that knows the imported account a, for its texts.
func (i *Import) conversation(a *config.Account, out io.Writer, say func(string)) *conversation {
	c := &conversation{Setup: &Setup{Person: Person{Shown: sayer(say)}, Out: out, Identity: i.Identity}, file: i.Target, name: a.Name, user: a.User, server: a.Servers[0]}
	c.who.Address, _ = a.Address()
	if len(a.Secret) > 0 {
		c.ref = a.Secret[0]
	}
	return c
}

// explainSystemd says how the user turns the passwords into credentials of a service.
func (i *Import) explainSystemd(made *config.Config, r *importer.Reading, say func(string)) {
	done := make(map[string]bool)
	at := make(map[*edit.Table]string)
	for _, p := range r.Passwords {
		at[p.Account] = p.At
	}
	for n, t := range r.Accounts {
		source := t.Text("secret")
		if !strings.HasPrefix(source, "systemd:") || done[source] {
			continue
		}
		done[source] = true
		if at[t] != "" {
			i.folded(say)("the password for " + source + " is in " + at[t])
		}
		i.conversation(made.Accounts[n], sayer(say), say).explainCredential()
	}
}

// printVariables prints the default account as variables, and says which settings they
// cannot contain.
func (i *Import) printVariables(r *importer.Reading, made *config.Config, out io.Writer, say func(string)) error {
	a := standard(made)
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
			if !slices.Contains(variableSettings, s.Key) {
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
