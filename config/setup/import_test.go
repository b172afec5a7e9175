package setup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sendoff/config/importer"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// newImport returns an Import of a file in home.
func newImport(home, file string, keyring credential.Keyring) *Import {
	return &Import{
		Reader: importer.Reader{Home: home},
		File:   file,
		Target: filepath.Join(home, ".config", "sendoff", "config.toml"),
		Store:  &credential.Store{Keyring: keyring, Home: home},
	}
}

// private returns a folder in which nobody else can write, whatever the umask.
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

// outcome runs i, and returns what it prints and says, with ~ for home.
func outcome(t *testing.T, i *Import) (toml, says string, err error) {
	t.Helper()
	var out, said strings.Builder
	err = i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
	return out.String(), strings.ReplaceAll(said.String(), i.Home, "~"), err
}

const simple = "account work\nhost smtp.example.org\nauth on\nuser ann\npassword s3kr1t\n"

// A configuration that is there is not touched without Add, and with it keeps
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
	const want = "# mine\naccount = \"home\"\n\n[accounts.home]\nserver = \"smtp://a.example\"\n\n[accounts.work]\nserver = \"smtp+plain://smtp.example.org\"\nuser = \"ann\"\nsecret = \"keyring\"\n"
	if got, _ := os.ReadFile(i.Target); string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{`hostname = "client.example" is not added: it would be for the other accounts, too`, `account = "work" is not added: it would be for the other accounts, too`} {
		if !strings.Contains(says, line) {
			t.Errorf("%q is not said:\n%s", line, says)
		}
	}
	clear(keyring)
	if _, _, err := outcome(t, i); err == nil || len(keyring) > 0 {
		t.Errorf("added twice: %v, %v", err, keyring)
	}
}

// A command may have the password among its words: only the owner of the configuration
// can read it, whoever could before, unless nobody brings a command.
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
		i.Target, i.Write = filepath.Join(t.TempDir(), "etc", "config.toml"), true // not at home
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

// broken is a keyring that nobody answers for.
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
		{"a keyring", simple, "", memory{}, []string{`"keyring"`}},
		{"none", simple, "", broken{memory{}}, []string{`"file:~/.config/sendoff/work.secret"`}},
		{"none, for two", two, "", broken{memory{}}, []string{`"file:~/.config/sendoff/work.secret"`, `"file:~/.config/sendoff/other.secret"`}},
		{"a file", simple, "file:~/mine", memory{}, []string{`"file:~/mine"`}},
		{"a folder", two, "file:~/mine/", memory{}, []string{`"file:~/mine/work.secret"`, `"file:~/mine/other.secret"`}},
		{"one file for one password", two, "file:~/mine", memory{}, []string{`"file:~/mine"`, `"file:~/mine"`}},
		{"one file for two", different, "file:~/mine", memory{}, []string{"--secret: file:~/mine cannot hold the passwords in "}},
		{"one item for two", simple + "account other : work\npassword other\n", "keyring", memory{}, []string{"--secret: keyring cannot hold the passwords in "}},
		{"a command", simple, "command:cat x", memory{}, []string{"--secret: command cat: cannot be written; the keyring and file:PATH can"}},
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

// What is stored already is not lost to a password of the same name. The same
// password may stand there.
func TestImportSpares(t *testing.T) {
	home, file := msmtprc(t, simple)
	folder := filepath.Join(home, ".config", "sendoff")
	own := filepath.Join(folder, "work.secret")
	// A file that nobody has named may be of another account, for another server.
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
			if there == "theirs" && (status.KindOf(err) != status.Usage || !strings.Contains(err.Error(), "work.secret holds another secret; delete that file, or name another folder") || toml != "") {
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
	// A place that takes only one: the keyring, and a file that is named.
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
			const remark = " holds another one, for ann at smtp.example.org; sendoff --login work replaces it\n"
			if strings.Contains(says, source+remark) != (there == "theirs") || strings.Contains(says, "theirs") {
				t.Errorf("%s: it says\n%s", source, says)
			}
		}
	}
}
