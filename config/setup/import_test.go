package setup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/config/importer"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// newImport returns an Import of a file in home; home also contains /etc and /var.
func newImport(home, file string, keyring credential.Keyring) *Import {
	user := filepath.Join(home, ".config", "sendoff", "config.toml")
	return &Import{
		Reader: importer.Reader{Home: home, Root: home},
		File:   file,
		Target: user,
		Paths:  config.Paths{User: user, System: filepath.Join(home, "etc", "sendoff", "config.toml"), Home: home},
		Store:  &credential.Store{Keyring: keyring, Home: home},
	}
}

// private returns a folder that only this user can write to, whatever the umask is.
func private(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// msmtprc writes an msmtprc in a new home.
func msmtprc(t *testing.T, text string) (home, file string) {
	t.Helper()
	home = private(t)
	file = filepath.Join(home, ".msmtprc")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home, file
}

// outcome runs i, and returns its output and messages, with ~ instead of home.
func outcome(t *testing.T, i *Import) (toml, says string, err error) {
	t.Helper()
	var out, said strings.Builder
	err = i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
	return out.String(), strings.ReplaceAll(said.String(), i.Home, "~"), err
}

const simple = "account work\nhost smtp.example.org\nauth on\nuser ann\npassword s3kr1t\n"

// TestWriteAdds: without Add, an existing configuration is not changed. With Add, it keeps
// its default account and its settings.
func TestWriteAdds(t *testing.T) {
	const old = "# mine\n\n[accounts.home]\nserver = \"smtp://a.example\"\n"
	home, file := msmtprc(t, simple+"domain client.example\naccount default : work\n")
	keyring := make(memory)
	i := newImport(home, file, keyring)
	i.Write = true
	if err := errors.Join(os.MkdirAll(filepath.Dir(i.Target), 0o700), os.WriteFile(i.Target, []byte(old), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := outcome(t, i); status.KindOf(err) != status.Usage || len(keyring) > 0 {
		t.Fatalf("without Add: %v, %v", err, keyring)
	}
	i.Add = true
	_, says, err := outcome(t, i)
	if err != nil {
		t.Fatal(err)
	}
	const want = "# mine\naccount = \"home\"\n\n[accounts.home]\nserver = \"smtp://a.example\"\n\n[accounts.work]\nserver = \"smtp+plain://smtp.example.org\"\nuser = \"ann\"\nsecret = \"file:~/.config/sendoff/work.secret\"\n"
	if got, _ := os.ReadFile(i.Target); string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{`not added: hostname = "client.example" (it would apply to your other accounts too)`, `not added: account = "work" (your default account stays "home")`} {
		if !strings.Contains(says, line) {
			t.Errorf("%q is not said:\n%s", line, says)
		}
	}
	clear(keyring)
	if _, _, err := outcome(t, i); err == nil || len(keyring) > 0 {
		t.Errorf("added twice: %v, %v", err, keyring)
	}
}

// TestImportRenames: if an account of another program has a name that exists, it gets
// another name and another password file. Importing the same login twice is refused.
func TestImportRenames(t *testing.T) {
	home, file := msmtprc(t, "host smtp.example.org\nauth on\nuser ann\npassword s3kr1t\n")
	i := newImport(home, file, memory{})
	i.Write = true
	if _, _, err := outcome(t, i); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(home, "second")
	if err := os.WriteFile(second, []byte("host smtp.example.net\nfrom ann@example.net\nauth on\nuser ann\npassword 0ther\naccount default-2\nhost h.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, write := range []bool{false, true} {
		i := newImport(home, second, memory{})
		i.Write, i.Add = write, write
		toml, says, err := outcome(t, i)
		if err != nil || !strings.Contains(toml, "[accounts.default-3]\nserver = \"smtp+plain://smtp.example.net\"\nuser = \"ann\"\nsecret = \"file:~/.config/sendoff/default-3.secret\"\n") ||
			!strings.Contains(says, "account \"default\" was renamed to \"default-3\":\n") {
			t.Errorf("%v\n%s%s", err, toml, says)
		}
		if end := "to try it: echo test | sendoff -a default-3 ann@example.net\n"; strings.HasSuffix(says, end) != write {
			t.Errorf("it says\n%s", says)
		}
	}
	for name, want := range map[string]string{"default": "s3kr1t\n", "default-3": "0ther\n"} {
		if got, err := os.ReadFile(filepath.Join(home, ".config", "sendoff", name+".secret")); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	i = newImport(home, file, memory{})
	i.Write, i.Add = true, true
	if _, _, err := outcome(t, i); err == nil || !strings.HasSuffix(err.Error(), "config.toml: account \"default\" already exists, with the same login; to change its password: sendoff --login default") {
		t.Errorf("twice: %v", err)
	}
}

// TestImportKeyring: if a program has a password in no file, and the keyring does not have
// it, a remark says how to store it.
func TestImportKeyring(t *testing.T) {
	const text = "account work\nhost smtp.example.org\nauth on\nuser ann\naccount cmd\nhost smtp.example.org\nauth on\nuser ann\npasswordeval pass show x\n"
	for _, tt := range []struct {
		use     string
		keyring credential.Keyring
		want    string
		source  string
	}{
		{"", memory{}, "account \"work\" has no password here; to store it in your keyring: sendoff --login work\n", "keyring"},
		{"", memory{"ann@smtp.example.org": "x"}, "", "keyring"},
		{"", broken{memory{}}, "account \"work\" has no password here; to store it in a file: sendoff --login work --for cron\n", "keyring"},
		{"cron", memory{}, "account \"work\" has no password here; to store it in a file: sendoff --login work --for cron\n", "keyring"},
		{"service", memory{}, "account \"cmd\" gets its password from a command; if the service cannot run it:\n  sendoff --login cmd --for service\n", "systemd:sendoff-work"},
	} {
		home, file := msmtprc(t, text)
		i := newImport(home, file, tt.keyring)
		i.For = tt.use
		toml, says, err := outcome(t, i)
		if err != nil || !strings.Contains(says, tt.want) || tt.want == "" && strings.Contains(says, "account") || !strings.Contains(toml, `secret = "`+tt.source+`"`) {
			t.Errorf("--for %q: %v\n%s%s", tt.use, err, toml, says)
		}
	}
	home, file := msmtprc(t, "account work\nhost smtp.example.org\nauth on\nuser ann\n")
	i := newImport(home, file, memory{})
	i.For = "container"
	if out, says, err := outcome(t, i); err != nil || !strings.Contains(out, "\nSENDOFF_SECRET=file:/run/secrets/sendoff\n") || strings.Contains(says, "keyring") {
		t.Errorf("%v\n%s%s", err, out, says)
	}
}

// TestImportCommands: in the commands that are proposed, words are quoted for the shell. No
// command is proposed for an address with special characters of a shell.
func TestImportCommands(t *testing.T) {
	home, _ := msmtprc(t, "")
	file := filepath.Join(home, "a $(b)'s")
	if err := os.WriteFile(file, []byte("host smtp.example.org\nfrom $(touch${IFS}x)@example.org\nfrom `touch`@example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := newImport(home, file, memory{})
	i.Paths.User = ""
	_, says, err := outcome(t, i)
	if err != nil || !strings.HasSuffix(says, "  sendoff --config ~/.config/sendoff/config.toml --import '~/a $(b)'\\''s' --write\n") {
		t.Errorf("%v\n%s", err, says)
	}
	i.Write = true
	_, says, err = outcome(t, i)
	if err != nil || !strings.HasSuffix(says, "to check each step: sendoff --config ~/.config/sendoff/config.toml --doctor default\n") {
		t.Errorf("%v\n%s", err, says)
	}
}

// TestImportCommandPrivate: a command may contain the password, so only the owner can read
// a configuration with an imported command, even if others could read it before.
func TestImportCommandPrivate(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	const command = "account work\nhost smtp.example.org\nauth on\nuser ann\npasswordeval \"gpg --passphrase s3kr1t -d f | head -1\"\n"
	for _, tt := range []struct {
		text, old string
		want      os.FileMode
	}{
		{command, "", 0o600}, {command, "log = \"off\"\n", 0o600}, {simple, "", 0o644}, {simple, "log = \"off\"\n", 0o640},
	} {
		home, file := msmtprc(t, tt.text)
		i := newImport(home, file, make(memory))
		i.Target, i.Write = filepath.Join(t.TempDir(), "etc", "config.toml"), true // not below the home
		if tt.old != "" {
			i.Add = true
			if err := errors.Join(os.MkdirAll(filepath.Dir(i.Target), 0o700), os.WriteFile(i.Target, []byte(tt.old), 0o600), os.Chmod(i.Target, 0o640)); err != nil {
				t.Fatal(err)
			}
		}
		toml, _, err := outcome(t, i)
		info, statErr := os.Stat(i.Target)
		if err != nil || statErr != nil || info.Mode().Perm() != tt.want {
			t.Errorf("%q, %q: %v, %v, mode %v, want %v\n%s", tt.text, tt.old, err, statErr, info.Mode(), tt.want, toml)
		}
	}
}

// A broken keyring does not answer.
type broken struct{ memory }

func (broken) Get(_, _ string) (string, error) { return "", credential.ErrNoBus }

func TestWherePasswordsGo(t *testing.T) {
	two := simple + "account other : work\nfrom b@example.org\n"
	different := simple + "account other : work\nuser bob\npassword other\n"
	tests := []struct {
		name, text, secret string
		keyring            credential.Keyring
		want               []string // the sources, or an error
	}{
		{"the keyring", simple, "keyring", memory{}, []string{`"keyring"`}},
		{"nothing said", simple, "", memory{}, []string{`"file:~/.config/sendoff/work.secret"`}},
		{"no keyring", simple, "", broken{memory{}}, []string{`"file:~/.config/sendoff/work.secret"`}},
		{"one login of two", two, "", broken{memory{}}, []string{`"file:~/.config/sendoff/work.secret"`, `"file:~/.config/sendoff/work.secret"`}},
		{"a file", simple, "file:~/mine", memory{}, []string{`"file:~/mine"`}},
		{"a folder", two, "file:~/mine/", memory{}, []string{`"file:~/mine/work.secret"`, `"file:~/mine/work.secret"`}},
		{"one file for one password", two, "file:~/mine", memory{}, []string{`"file:~/mine"`, `"file:~/mine"`}},
		{"one file for two", different, "file:~/mine", memory{}, []string{"--secret: file:~/mine cannot hold the passwords in "}},
		{"one item for two", simple + "account other : work\npassword other\n", "keyring", memory{}, []string{"--secret: keyring cannot hold the passwords in "}},
		{"a command", simple, "command:cat x", memory{}, []string{"--secret: command cat: sendoff can store passwords only in the keyring and file:PATH"}},
		{"a password", simple, "hunter2", memory{}, []string{"--secret: unknown secret source; "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home, file := msmtprc(t, tt.text)
			i := newImport(home, file, tt.keyring)
			i.Secret, i.Write = tt.secret, true
			toml, _, err := outcome(t, i)
			if err != nil {
				if status.KindOf(err) != status.Usage || !strings.HasPrefix(err.Error(), tt.want[0]) || toml != "" {
					t.Fatalf("error %v, want %q", err, tt.want)
				}
				return
			}
			var got []string
			for line := range strings.Lines(toml) {
				if value, ok := strings.CutPrefix(line, "secret = "); ok {
					got = append(got, strings.TrimSpace(value))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, source := range got {
				ref, err := credential.ParseRef(strings.Trim(source, `"`))
				if err != nil {
					t.Fatal(err)
				}
				secret, err := i.Store.Get(t.Context(), []credential.Ref{ref}, credential.Item{User: "ann", Host: "smtp.example.org"})
				if err != nil || secret.Reveal() != "s3kr1t" {
					t.Errorf("%s holds %q, %v", source, secret.Reveal(), err)
				}
			}
		})
	}
}

// TestImportSpares: a stored secret is not replaced by a different password. If it is the
// same password, that is no error.
func TestImportSpares(t *testing.T) {
	home, file := msmtprc(t, simple)
	folder := filepath.Join(home, ".config", "sendoff")
	own := filepath.Join(folder, "work.secret")
	// A file that the user has not named may belong to an account of another server.
	for _, there := range []string{"theirs", "s3kr1t"} {
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(own, []byte(there+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, write := range []bool{false, true} {
			i := newImport(home, file, broken{memory{}})
			i.Write = write
			toml, says, err := outcome(t, i)
			if left, _ := os.ReadFile(own); string(left) != there+"\n" || strings.Contains(says+toml, there) {
				t.Errorf("%s: left %q, says\n%s", there, left, says)
			}
			if there == "theirs" && (status.KindOf(err) != status.Usage || !strings.Contains(err.Error(), "work.secret already holds another password; to use another folder, give --secret file:FOLDER/") || toml != "") {
				t.Errorf("another secret: %v\n%s", err, toml)
			}
			if there != "theirs" && (err != nil || !strings.Contains(toml, "/work.secret\"\n")) {
				t.Errorf("the same secret: %v\n%s", err, toml)
			}
			if _, err := os.Stat(i.Target); (err == nil) != (write && there != "theirs") {
				t.Errorf("%s, %t: %s: %v", there, write, i.Target, err)
			}
		}
	}
	// Places for a single password: the keyring, and a file that the user has named.
	named := filepath.Join(home, "named")
	if err := os.WriteFile(named, []byte("theirs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"keyring", "file:~/named"} {
		for _, there := range []string{"theirs", "s3kr1t"} {
			keyring := memory{"ann@smtp.example.org": there}
			if err := os.WriteFile(named, []byte(there+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			i := newImport(home, file, keyring)
			i.Write, i.Secret, i.Target = true, source, filepath.Join(private(t), "config.toml")
			_, says, err := outcome(t, i)
			left, _ := os.ReadFile(named)
			if err != nil || keyring["ann@smtp.example.org"] != there || string(left) != there+"\n" {
				t.Errorf("%s: %v, %v, %q", source, err, keyring, left)
			}
			const remark = " has another one for ann at smtp.example.org\nto replace that: sendoff --login work\n"
			if strings.Contains(says, source+remark) != (there == "theirs") || strings.Contains(says, "theirs") {
				t.Errorf("%s: it says\n%s", source, says)
			}
		}
	}
}

// TestImportFor: where each use stores a password that was in a file.
func TestImportFor(t *testing.T) {
	two := simple + "from ann@example.org\naccount other : work\ntimeout 20\naccount default : work\n"
	for _, tt := range []struct {
		use     string
		keyring credential.Keyring
		says    []string // also the TOML, or an error
		stored  string   // the file with the password, or "keyring"
	}{
		{"", memory{}, []string{
			"the password in ~/.msmtprc:5 is now in file:~/.config/sendoff/work.secret (mode 0600)\n" +
				"to keep it in your keyring instead: sendoff --login work --for desktop\n" +
				"written: ~/.config/sendoff/config.toml\n" +
				"once mail leaves, delete the password from ~/.msmtprc:5\n" +
				"to check each step: sendoff --doctor work\n" +
				"to try it: echo test | sendoff -a work ann@example.org\n",
		}, "work.secret"},
		{"", broken{memory{}}, []string{"(mode 0600)\nwritten: "}, "work.secret"},
		{"cron", memory{}, []string{"(mode 0600)\nwritten: "}, "work.secret"},
		{"desktop", memory{}, []string{"the password in ~/.msmtprc:5 is now in your keyring\nwritten: "}, "keyring"},
		{"desktop", broken{memory{}}, []string{"no keyring is available in this session; without --for desktop the password goes into a file"}, ""},
		{"service", memory{}, []string{
			`secret = "systemd:sendoff-work"`, "the password for systemd:sendoff-work is in ~/.msmtprc:5\nAs root, ",
			"    LoadCredentialEncrypted=sendoff-work:/etc/credstore.encrypted/sendoff-work\n",
		}, ""},
		{"container", memory{}, []string{"--for container prints variables and writes nothing; leave out --write"}, ""},
		{"laptop", memory{}, []string{"--for can only be desktop, cron, service, container or machine"}, ""},
	} {
		home, file := msmtprc(t, two)
		i := newImport(home, file, tt.keyring)
		i.For, i.Write = tt.use, true
		toml, says, err := outcome(t, i)
		if err != nil {
			says = err.Error()
		}
		for _, text := range tt.says {
			if !strings.Contains(toml+says, text) {
				t.Errorf("--for %s: %q is not said:\n%s%s", tt.use, text, toml, says)
			}
		}
		files, _ := filepath.Glob(filepath.Join(home, ".config", "sendoff", "*.secret"))
		all := ""
		for _, path := range files {
			all += filepath.Base(path)
		}
		if keyring, ok := tt.keyring.(memory); ok && len(keyring) > 0 {
			all += "keyring"
		}
		if all != tt.stored {
			t.Errorf("--for %s: stored in %s, want %s", tt.use, all, tt.stored)
		}
	}
	home, file := msmtprc(t, two)
	i := newImport(home, file, memory{})
	i.For = "container"
	out, says, err := outcome(t, i)
	const want = "SENDOFF_SERVER=smtp+plain://smtp.example.org\nSENDOFF_USER=ann\nSENDOFF_SECRET=file:/run/secrets/sendoff\nSENDOFF_FROM=ann@example.org\n"
	if err != nil || out != want || !strings.HasPrefix(says, "not in the variables: account other\nfor these mount a configuration: ") {
		t.Errorf("%v\n%s%s", err, out, says)
	}
}

// TestImportSystem: root imports a file of /etc for all users; only root can read the
// password.
func TestImportSystem(t *testing.T) {
	for _, tt := range []struct {
		uid           int
		file, written string
	}{
		{0, "etc/msmtprc", "etc/sendoff/"}, {1000, "etc/msmtprc", ".config/sendoff/"}, {0, ".msmtprc", ".config/sendoff/"},
	} {
		home := private(t)
		file := filepath.Join(home, filepath.FromSlash(tt.file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(simple+"from ann@example.org\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		i := newImport(home, "", memory{})
		i.Target, i.Write, i.Identity.UID = "", true, tt.uid
		_, says, err := outcome(t, i)
		for _, name := range []string{"config.toml", "work.secret"} {
			if _, err := os.Stat(filepath.Join(home, filepath.FromSlash(tt.written), name)); err != nil {
				t.Error(err)
			}
		}
		const forRoot = "only root can read that file: only root's mail leaves; see sendoff-server(7)\n"
		if err != nil || strings.Contains(says, forRoot) != (tt.written == "etc/sendoff/") || strings.Contains(says, "--for desktop") == strings.Contains(says, forRoot) {
			t.Errorf("%v: %v\n%s", tt, err, says)
		}
		if i.ForAll != nil != (tt.written == "etc/sendoff/") {
			t.Errorf("%v: the answers for a service: %+v", tt, i.ForAll)
		}
		if s := i.ForAll; s != nil && (s.Account != "work" || s.Address != "ann@example.org" || !strings.HasSuffix(s.PasswordFile, "/work.secret")) {
			t.Errorf("%v: the answers for a service: %+v", tt, s)
		}
	}
}

// TestImportWaiting: mail in the queues of other programs is reported.
func TestImportWaiting(t *testing.T) {
	home, file := msmtprc(t, simple)
	for _, name := range []string{
		".msmtp.queue/2026-01-01-10.00.00.mail", ".msmtp.queue/2026-01-01-10.00.00.msmtp",
		"var/spool/nullmailer/queue/1767261600.12", "var/spool/nullmailer/queue/1767261600.13",
		"var/spool/dma/M1b2.aa", "var/spool/dma/Q1b2.aa", "var/spool/dma/M1b2.bb", "var/spool/dma/Q1b2.bb", "var/spool/dma/flush",
		"var/spool/postfix/deferred/A/A1", "var/spool/postfix/active/B2", "var/spool/postfix/incoming/C3", "var/spool/postfix/maildrop/D4", "var/spool/postfix/defer/A/A1",
	} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "1 message is in msmtpq's queue, ~/.msmtp.queue; send it first: msmtp-queue -r\n" +
		"2 messages are in nullmailer's queue, ~/var/spool/nullmailer/queue; send them first:\n" +
		"  sudo service nullmailer restart\n" +
		"1 message is in dma's queue, ~/var/spool/dma; send it first: sudo dma -q\n" +
		"4 messages are in Postfix's queue, ~/var/spool/postfix; send them first: sudo postqueue -f\n"
	for _, write := range []bool{false, true} {
		i := newImport(home, file, memory{})
		i.Write = write
		if _, says, err := outcome(t, i); err != nil || !strings.Contains(says, want) {
			t.Errorf("%v\n%s", err, says)
		}
	}
	if os.PathSeparator == '\\' || os.Geteuid() == 0 {
		return
	}
	// A queue that cannot be read is reported only if its program is imported.
	closed := []string{filepath.Join(home, ".msmtp.queue"), filepath.Join(home, "var", "spool", "dma")}
	for _, folder := range closed {
		if err := os.Chmod(folder, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(folder, 0o700)
	}
	_, says, err := outcome(t, newImport(home, file, memory{}))
	if err != nil || !strings.Contains(says, "mail may be in msmtpq's queue, ~/.msmtp.queue, which you cannot read; send it first:\n  msmtp-queue -r\n") || strings.Contains(says, "dma") {
		t.Errorf("%v\n%s", err, says)
	}
}
