package setup

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

var update = flag.Bool("update", false, "write what comes out into the corpus")

// A ring is a keyring in memory.
type ring map[string]string

func (r ring) Set(_, username, secret string) error { r[username] = secret; return nil }
func (r ring) Delete(_, username string) error      { delete(r, username); return nil }
func (r ring) Get(_, username string) (string, error) {
	if secret, ok := r[username]; ok {
		return secret, nil
	}
	return "", credential.ErrNotFound
}

// list returns the passwords, a line each.
func (r ring) list() string {
	var b strings.Builder
	for _, user := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(&b, "%s %s\n", user, r[user])
	}
	return b.String()
}

// values judges as the program does, without the packages that it asks.
func values() config.Values {
	return config.Values{
		Secret: func(s string) error { _, err := credential.ParseRef(s); return err },
		Mechanism: func(name string) error {
			if !slices.Contains([]string{"EXTERNAL", "SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN", "CRAM-MD5"}, name) {
				return fmt.Errorf("unknown mechanism")
			}
			return nil
		},
	}
}

// newImport returns an Import of a file in home, which runs as ann.
func newImport(home, file string, keyring credential.Keyring) *Import {
	return &Import{
		File:       file,
		Target:     filepath.Join(home, ".config", "sendoff", "config.toml"),
		Home:       home,
		ConfigHome: filepath.Join(home, ".config"),
		Identity:   config.Identity{UID: 1000, Login: "ann", Home: home, Hostname: "host", FQDN: "host.example.org", Mailname: "mail.example.org"},
		Values:     values(),
		Store:      &credential.Store{Keyring: keyring, Home: home},
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

// outcome runs i, and returns what it prints and says, with ~ for home.
func outcome(t *testing.T, i *Import) (toml, says string, err error) {
	t.Helper()
	var out, said strings.Builder
	err = i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
	return out.String(), strings.ReplaceAll(said.String(), i.Home, "~"), err
}

// TestCorpus imports the files of each archive in testdata: what comes out is
// what the archive has as toml, and what is said on the way is what it has as
// says, with nothing written; then passwords are what is stored with Write.
// The first line says which file is imported.
func TestCorpus(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			home := private(t)
			want := make(map[string]*[]byte)
			for i := range archive.Files {
				f := &archive.Files[i]
				if slices.Contains([]string{"toml", "says", "passwords"}, f.Name) {
					want[f.Name] = &f.Data
					continue
				}
				file := filepath.Join(home, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			first, _, _ := strings.Cut(string(archive.Comment), "\n")
			keyring := make(ring)
			i := newImport(home, filepath.Join(home, strings.TrimSpace(first)), keyring)
			got := make(map[string]string)
			got["toml"], got["says"], err = outcome(t, i)
			if err != nil {
				got["says"] += strings.ReplaceAll(err.Error(), home, "~") + "\n"
			}
			if len(keyring) > 0 {
				t.Error("something was stored without being asked to")
			}
			if err == nil {
				i.Write = true
				if _, _, err := outcome(t, i); err != nil {
					t.Errorf("with Write: %v", err)
				}
				loads(t, i, got["toml"])
			}
			got["toml"], got["passwords"] = strings.ReplaceAll(got["toml"], home, "~"), keyring.list()
			for _, name := range []string{"toml", "says", "passwords"} {
				if want[name] == nil {
					archive.Files = append(archive.Files, txtar.File{Name: name})
					want[name] = &archive.Files[len(archive.Files)-1].Data
				}
				if string(*want[name]) != got[name] && !*update {
					t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got[name], *want[name])
				}
				for i := range archive.Files {
					if archive.Files[i].Name == name {
						archive.Files[i].Data = []byte(got[name])
					}
				}
			}
			for _, secret := range keyring {
				if strings.Contains(got["toml"]+got["says"], secret) {
					t.Errorf("the password %q is shown", secret)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEveryField holds that each key of each program is in the corpus.
func TestEveryField(t *testing.T) {
	for _, p := range []struct {
		name   string
		fields []field
	}{
		{"msmtp", msmtpFields()}, {"ssmtp", ssmtpFields()}, {"dma", dmaFields()},
		{"nullmailer", append(nullmailerFiles(), remoteOptions()...)},
	} {
		paths, err := filepath.Glob("testdata/" + p.name + "-*.txtar")
		if err != nil {
			t.Fatal(err)
		}
		var corpus strings.Builder
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, _, _ := strings.Cut(string(text), "-- toml --")
			corpus.WriteString(input)
		}
		for _, f := range p.fields {
			if !regexp.MustCompile(`(?m)(^|[ /-])` + f.key + `($|[ =])`).MatchString(corpus.String()) {
				t.Errorf("%s's %s is in no archive of testdata", p.name, f.key)
			}
		}
	}
}

// loads holds that what i has written is text, and can be loaded.
func loads(t *testing.T, i *Import, text string) {
	t.Helper()
	written, err := os.ReadFile(i.Target)
	if err != nil || string(written) != text {
		t.Errorf("wrote %q, %v", written, err)
	}
	if _, err := config.Load(config.Paths{User: i.Target, Home: i.Home}, i.Values); err != nil {
		t.Errorf("does not load: %v", err)
	}
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

const simple = "account work\nhost smtp.example.org\nauth on\nuser ann\npassword s3kr1t\n"

// A configuration that is there is not touched without Add, and with it keeps
// its default account and its settings.
func TestWriteAdds(t *testing.T) {
	const old = "# mine\n\n[accounts.home]\nserver = \"smtp://a.example\"\n"
	home, file := msmtprc(t, simple+"domain client.example\naccount default : work\n")
	keyring := make(ring)
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

// broken is a keyring that nobody answers for.
type broken struct{ ring }

func (broken) Get(_, _ string) (string, error) { return "", credential.ErrNoBus }

func TestWherePasswordsGo(t *testing.T) {
	two := simple + "account other : work\nfrom b@example.org\n"
	different := simple + "account other : work\nuser bob\npassword other\n"
	tests := []struct {
		name, text, secret string
		keyring            credential.Keyring
		want               []string // the sources, or an error
	}{
		{"a keyring", simple, "", ring{}, []string{`"keyring"`}},
		{"none", simple, "", broken{ring{}}, []string{`"file:~/.config/sendoff/work.secret"`}},
		{"none, for two", two, "", broken{ring{}}, []string{`"file:~/.config/sendoff/work.secret"`, `"file:~/.config/sendoff/other.secret"`}},
		{"a file", simple, "file:~/mine", ring{}, []string{`"file:~/mine"`}},
		{"a folder", two, "file:~/mine/", ring{}, []string{`"file:~/mine/work.secret"`, `"file:~/mine/other.secret"`}},
		{"one file for one password", two, "file:~/mine", ring{}, []string{`"file:~/mine"`, `"file:~/mine"`}},
		{"one file for two", different, "file:~/mine", ring{}, []string{"--secret: file:~/mine cannot hold the passwords in "}},
		{"one item for two", simple + "account other : work\npassword other\n", "keyring", ring{}, []string{"--secret: keyring cannot hold the passwords in "}},
		{"a command", simple, "command:cat x", ring{}, []string{"--secret: command cat: cannot be written; the keyring and file:PATH can"}},
		{"a password", simple, "hunter2", ring{}, []string{"--secret: unknown secret source; "}},
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
	home, file := msmtprc(t, simple+"account work-3 : work\npassword other\n")
	folder := filepath.Join(home, ".config", "sendoff")
	path := func(name string) string { return filepath.Join(folder, name) }
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	// work.secret is somebody's, and work-2.secret is an account's that has none yet.
	const old = "[accounts.home]\nserver = \"smtp://a.example\"\nuser = \"x\"\nsecret = \"file:~/.config/sendoff/work-2.secret\"\n"
	for name, text := range map[string]string{"work.secret": "theirs\n", "config.toml": old} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	i := newImport(home, file, broken{ring{}})
	i.Write, i.Add = true, true
	if toml, _, err := outcome(t, i); err != nil || !strings.Contains(toml, "work-3.secret") {
		t.Fatalf("%v\n%s", err, toml)
	}
	for name, want := range map[string]string{"work.secret": "theirs\n", "work-3.secret": "s3kr1t\n", "work-3-2.secret": "other\n"} {
		if got, _ := os.ReadFile(path(name)); string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := os.Stat(path("work-2.secret")); err == nil {
		t.Error("the other account got the password")
	}

	file = filepath.Join(home, "simple")
	if err := os.WriteFile(file, []byte(simple), 0o600); err != nil {
		t.Fatal(err)
	}
	// A place that takes only one: the keyring, and a file that is named.
	named := filepath.Join(home, "named")
	if err := os.WriteFile(named, []byte("theirs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"keyring", "file:~/named"} {
		for _, there := range []string{"theirs", "s3kr1t"} {
			keyring := ring{"ann@smtp.example.org": there}
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

// TestDistrust takes host, port, user and from of a file that others can write, and
// nothing else: no password, no file, no command, no way round TLS's checks.
func TestDistrust(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	home, file := msmtprc(t, "defaults\naliases /etc/aliases.evil\nlogfile /etc/cron.d/evil\ntls on\ntls_trust_file /home/mallory/ca.pem\n"+
		"tls_key_file /etc/shadow\ntls_cert_file /home/mallory/cert\nproxy_host 192.0.2.1\nproxy_port 1080\n"+
		"account work\nhost smtp.example.org\nport 2525\nauth plain\nuser ann\nfrom ann@example.org\npassword "+marker+"\n"+
		"account other\nsocket /home/mallory/s\naccount default : work\n")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	i := newImport(home, file, ring{})
	toml, says, err := outcome(t, i)
	const want = "account = \"work\"\n\n[accounts.work]\nserver = \"smtp://smtp.example.org:2525\"\nuser = \"ann\"\nfrom = \"ann@example.org\"\n"
	if err != nil || toml != want || strings.Contains(says, marker) || strings.Contains(says, "goes to") {
		t.Errorf("%v\n%s\n%s", err, toml, says)
	}
	if !strings.Contains(says, "host, port, user and from are carried over, nothing else; of a copy of your own, all is (aliases, log") {
		t.Errorf("it says\n%s", says)
	}
}

// TestProgramOf names nothing that could be a password.
func TestProgramOf(t *testing.T) {
	for command, want := range map[string]string{
		"Tr0ub4dor3": "this command", "x=y Tr0ub4dor3 z": "this command", "sh -c x": "sh", "/bin/sh": "sh", "A=b sh": "sh", "$(x)": "this command",
	} {
		if got := programOf(command); got != want && (os.PathSeparator == '/' || want == "this command") {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

// A command in a file that others can write is not believed.
func TestUntrustedCommand(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	home, file := msmtprc(t, "account work\nhost smtp.example.org\nauth on\nuser ann\npasswordeval pass show mail\n")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	toml, says, err := outcome(t, newImport(home, file, ring{}))
	if err != nil || strings.Contains(toml, "pass show") || !strings.Contains(says, "others could have written this command") {
		t.Errorf("%v\n%s\n%s", err, toml, says)
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	i := newImport(home, "", ring{})
	for _, name := range []string{".msmtprc", ".config/msmtp/config"} {
		file := filepath.Join(home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(simple), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	p, at, err := i.find(func(line string) { said = append(said, line) })
	if err != nil || p.name != "msmtp" || at != filepath.Join(home, ".msmtprc") {
		t.Errorf("found %s, %v", at, err)
	}
	other := filepath.Join(home, ".config", "msmtp", "config")
	if !slices.Contains(said, other+" is there too; sendoff --import="+other+" takes it over") {
		t.Errorf("said %q", said)
	}
	for text, want := range map[string]string{
		"mispelled x\naccount a\nhost h.example\n": "msmtp",
		"# x\nmailhub = h.example\n":               "ssmtp",
		"SMARTHOST h.example\n":                    "dma",
	} {
		i.File = filepath.Join(home, "file")
		if err := os.WriteFile(i.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, _, err := i.find(nil); err != nil || p.name != want {
			t.Errorf("%q: %s, %v", text, p.name, err)
		}
	}
	for _, text := range []string{"", "hello\n", "smarthost h.example\n", "user = \"ann\"\n", "[accounts.work]\nserver = \"smtp://x.example\"\n"} {
		i.File = filepath.Join(home, "file")
		if err := os.WriteFile(i.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := i.find(nil); status.KindOf(err) != status.Config {
			t.Errorf("%q: %v", text, err)
		}
	}
	i.File = filepath.Join(home, "none")
	if _, _, err := i.find(nil); status.KindOf(err) != status.Config {
		t.Errorf("no file: %v", err)
	}
}

func TestWords(t *testing.T) {
	tests := []struct{ command, want string }{
		{"pass show mail", "pass show mail"},
		{"gpg2 --no-tty -q -d ~/.msmtp-password.gpg", "gpg2 --no-tty -q -d ~/.msmtp-password.gpg"},
		{"secret-tool lookup service 'my mail'", "secret-tool lookup service 'my mail'"},
		{"gpg --opt=val -d f", "gpg --opt=val -d f"},
		{"pass show mail | head -n1", "sh -c 'pass show mail | head -n1'"},
		{"cat $HOME/'my file'", `sh -c 'cat $HOME/'\''my file'\'''`},
		{"LANG=C pass show mail", "sh -c 'LANG=C pass show mail'"},
		{"cat ~/pw*", "sh -c 'cat ~/pw*'"},
		{"cat ~ann/pw", "sh -c 'cat ~ann/pw'"},
		{"pass show mail # the new one", "sh -c 'pass show mail # the new one'"},
		{". ~/.env", "sh -c '. ~/.env'"},
		{"pass 'open", `sh -c 'pass '\''open'`},
	}
	for _, tt := range tests {
		if got := words(tt.command); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.command, got, tt.want)
		}
		if _, err := credential.ParseRef("command:" + words(tt.command)); err != nil {
			t.Errorf("%s: %v", tt.command, err)
		}
	}
}

// A command that may have the password among its words must not be copied.
func TestKnown(t *testing.T) {
	tests := []struct {
		command, password string
		known             bool
	}{
		{"echo s3kr1t", "s3kr1t", false},
		{"/bin/echo -n 's3 kr1t'", "s3 kr1t", false},
		{"echo 's3$kr1t'", "s3$kr1t", false},
		{`echo '$s3kr1t'`, "$s3kr1t", false},
		{`printf '%s\n' s3kr1t`, "s3kr1t", false},
		{`printf 's3kr1t\n'`, "s3kr1t", false},
		{`printf s3kr1t\n`, "", false},
		{`echo s3\kr1t`, "", false},
		{`echo 's3\kr1t'`, "", false},
		{"echo -e s3kr1t", "", false},
		{"echo ~s3kr1t", "", false},
		{"printf '%d' 3", "", false},
		{"echo s3$kr1t", "", false},
		{`echo "s3$(kr1t)"`, "", false},
		{`echo "${x:-s3kr1t}"`, "", false},
		{`echo "$x" s3kr1t`, "", false},
		{"echo czNrcjF0 | base64 -d", "", false},
		{"base64 -d <<< czNrcjF0", "", false},
		{"sh -c 'echo s3kr1t'", "", false},
		{`sh -c "echo '$x'"`, "", false},
		{`true && echo "s3kr1t"`, "", false},
		{"python3 -c print('s3kr1t')", "", false},
		{"awk BEGIN{print\"s3kr1t\"}", "", false},
		{"rev /dev/stdin # s3kr1t", "", false},
		{"X=s3kr1t pass show mail", "", false},
		{"X='the s3kr1t' pass show mail", "", false},
		{"gpg --passphrase s3kr1t -d f", "", false},
		{"gpg --passphrase=s3kr1t -d f", "", false},
		{"gpg --sign f", "", false},
		{"bw get password mail --session s3kr1t", "", false},
		{"bw unlock s3kr1t", "", false},
		{"security unlock-keychain -p s3kr1t", "", false},
		{"pass show mail | sed s/.*/s3kr1t/", "", false},
		{"pass show mail | sed 'c s3kr1t'", "", false},
		{"pass show mail | tr a s3kr1t", "", false},
		{"pass show mail; echo s3kr1t", "", false},
		{"pass show mail || echo s3kr1t", "", false},
		{"pass `echo s3kr1t`", "", false},
		{"pass show 'mail", "", false},
		{"|", "", false},
		{`echo "$SMTP_PASSWORD"`, "", true},
		{`printf '%s' "${SMTP_PASSWORD}"`, "", true},
		{"pass show mail", "", true},
		{"pass show mail 2>/dev/null | head -n 1", "", true},
		{"PASSWORD_STORE_DIR=~/x /usr/bin/pass show mail", "", true},
		{"gpg --no-tty -qd ~/.pw.gpg", "", true},
		{"gpg2 --passphrase-file ~/.phrase --decrypt ~/.pw.gpg | tr -d '\\n'", "", true},
		{"secret-tool lookup service 'my mail'", "", true},
		{"security find-generic-password -s mail -w", "", true},
		{"keyring -b x get mail ann", "", true},
		{"op read op://mail/password", "", true},
		{"rbw get mail", "", true},
		{"systemd-creds cat mail", "", true},
		{"cat $HOME/.pw | cut -d: -f2 | sed -n 's/^x: //p'", "", true},
		{"sh -c 'gpg -d ~/.pw.gpg | head -1'", "", true},
	}
	for _, tt := range tests {
		password, _ := echoed(tt.command)
		if password != tt.password || known(tt.command) != tt.known {
			t.Errorf("%s: %q, %v; want %q, %v", tt.command, password, known(tt.command), tt.password, tt.known)
		}
		if program := programOf(tt.command); strings.Contains(program, "s3kr1t") {
			t.Errorf("%s: the program is called %s", tt.command, program)
		}
	}
}

func TestNetrc(t *testing.T) {
	const text = `# a comment
machine other.example login ann password wrong
machine smtp.example.org
	login ann
	password "s3kr1t"
	account x
macdef init
machine smtp.example.org login bob password macro

machine SMTP.example.org login bob password b0b
machine smtp.example.org login carl password "two words"
machine smtp.example.org login dora password 'it"s' # hers
machine smtp.example.org login 'e v' password
	x'y z'
machine smtp.example.org port login fay password a\b#c
default login anonymous password guest
`
	for _, tt := range []struct{ host, user, want string }{
		{"smtp.example.org", "ann", "s3kr1t"},
		{"smtp.example.org", "bob", "b0b"},
		{"smtp.example.org", "carl", "two words"},
		{"smtp.example.org", "dora", `it"s`},
		{"smtp.example.org", "e v", "xy z"},
		{"smtp.example.org", "fay", `a\b#c`},
		{"smtp.example.org", "eve", ""},
		{"none.example", "ann", ""},
		{"none.example", "anonymous", ""},
	} {
		got, ok := findNetrc("netrc", text, tt.host, tt.user)
		if ok != (tt.want != "") || ok && got.value != tt.want {
			t.Errorf("%s at %s: %q, %v", tt.user, tt.host, got.value, ok)
		}
	}
}

// marker is a password that is found again wherever it goes.
const marker = "mArKeRpAsSwOrD"

// fuzz holds for any text in any of the files of a program that nothing
// breaks, that what comes out can be loaded, and that no password does.
func fuzz(f *testing.F, at string, names ...string) {
	f.Fuzz(func(t *testing.T, text string) {
		home := private(t)
		folder := filepath.Join(home, "etc")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		rest := text
		for _, name := range names { // a form feed begins the next file
			var part string
			part, rest, _ = strings.Cut(rest, "\f")
			if err := os.WriteFile(filepath.Join(folder, name), []byte(part), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		i := newImport(home, filepath.Join(folder, at), ring{})
		var out bytes.Buffer
		var said strings.Builder
		err := i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
		if err == nil {
			if _, err := config.Check(config.Paths{Explicit: "config.toml", Home: home}, i.Values, "config.toml", out.String()); err != nil {
				t.Errorf("does not load: %v\n%s", err, out.String())
			}
		} else if out.Len() > 0 || status.KindOf(err) != status.Config {
			t.Errorf("refused, but printed %q; %v", out.String(), err)
		}
		if shown := out.String() + said.String() + fmt.Sprint(err); secretIn(text) && strings.Contains(shown, marker) {
			t.Errorf("the password is shown:\n%s", shown)
		}
	})
}

// secretIn reports whether the marker stands in text only where a program has
// its passwords.
func secretIn(text string) bool {
	places := regexp.MustCompile(`(?i)^((password|passwordeval echo|machine \S+ login ann password)\s+|(authpass=|[a-z. ]+ pass=|[a-z]+\|[a-z.]+:)\s*)$`)
	for line := range strings.Lines(strings.ReplaceAll(text, "\f", "\n")) {
		before, after, found := strings.Cut(line, marker)
		if found && (!places.MatchString(before) || strings.Contains(after, marker)) {
			return false
		}
	}
	return true
}

func FuzzMsmtp(f *testing.F) {
	f.Add("account a\nhost smtp.example.org\nauth on\nuser ann\npassword " + marker + "\naccount default : a\n")
	f.Add("defaults\ntls on\naccount a\nhost h.example\nfrom %U@%M, *@x.example\nport 587\naccount b : a\npasswordeval echo " + marker + "\nauth login\nuser x")
	f.Add("account a\nhost smtp.example.org\nauth on\nuser ann\n\fmachine smtp.example.org login ann password " + marker)
	f.Add("account a\nhost ::1\nprotocol lmtp\ntimeout 3\nproxy_host ::1\nproxy_port 9\nsource_ip 1.2.3.4\ndomain %C\nlogfile ~/x\ntls_fingerprint 00:11\nauto_from\nmaildomain x.example")
	f.Add("account \"a b\"\nsocket ~/s\nfrom_full_name \"A \\\" B\"\ntls_key_file /k\nallow_from_override off\nsyslog on")
	fuzz(f, "msmtprc", "msmtprc", "netrc")
}

func FuzzSsmtp(f *testing.F) {
	f.Add("mailhub=smtp.example.org:587\nUseSTARTTLS=YES\nAuthUser=ann\nAuthPass=" + marker + "\n\froot:ann@example.org:other.example:25\nbob:bob@example.org\n")
	f.Add("root=ann@example.org\nmailhub=[::1]:25\nrewriteDomain=x@y.example\nhostname=h.example\nUseTLS=yes\nTLSCert=/c\nTLSKey=/k\nUseTLSCert=YES\nAuthMethod=cram-md5\nAuthUser=a")
	fuzz(f, "ssmtp.conf", "ssmtp.conf", "revaliases")
}

func FuzzNullmailer(f *testing.F) {
	f.Add("smtp.example.org smtp port=587 starttls user=ann pass=" + marker + "\nother.example --user=ann --ssl\n\fhost\fann@example.org\f\fexample.org\f60\f3600\f604800\n")
	f.Add("h.example smtp 'pass=" + marker + "' user=\"a b\" x509certfile=/c insecure\f\f\fa@b.example\f\f0\f1\fx")
	fuzz(f, "remotes", "remotes", "me", "adminaddr", "allmailfrom", "defaultdomain", "pausetime", "maxpause", "queuelifetime")
}

func FuzzDma(f *testing.F) {
	f.Add("SMARTHOST smtp.example.org\nPORT 587\nAUTHPATH auth.conf\nSECURETRANSFER\nSTARTTLS\nMASQUERADE ann@example.org\n\fann|smtp.example.org:" + marker + "\n")
	f.Add("SMARTHOST h.example\nMAILNAME m.example\nMASQUERADE x.example\nDEFER\nALIASES /etc/aliases\nCERTFILE /c # x\nFINGERPRINT 00")
	fuzz(f, "dma.conf", "dma.conf", "auth.conf")
}
