package edit

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/status"
)

// work returns a document with an account, for most tests.
func work() *Document {
	a := NewAccount("work")
	a.Set("server", "smtps://smtp.example.org")
	a.Set("from", []string{"ann@example.org"})
	d := &Document{Accounts: []*Table{a}}
	d.Top.Set("account", "work")
	return d
}

const asFile = `account = "work"

[accounts.work]
server = "smtps://smtp.example.org"
from = "ann@example.org"
`

func TestString(t *testing.T) {
	d := work()
	a := NewAccount("ann@example.net")
	a.Set("server", "pipe:ssh host")
	a.Set("user", "ann")
	a.Set("from", []string{"ann@example.net", "*@example.com"})
	a.Set("secret", `command:sh -c "pass\tshow"`)
	a.Set("force-sender", true)
	a.Set("max-recipients", 10)
	a.Set("user", "")
	d.Accounts = append(d.Accounts, a)
	want := asFile + `
[accounts."ann@example.net"]
server = "pipe:ssh host"
from = ["ann@example.net", "*@example.com"]
secret = 'command:sh -c "pass\tshow"'
force-sender = true
max-recipients = 10
`
	if got := d.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ s, want string }{
		{"", `""`},
		{"é", `"é"`},
		{`C:\mail "x"`, `'C:\mail "x"'`},
		{`it's "x"\`, `"it's \"x\"\\"`},
		{"a\nb\x7f\"", `"a\u000Ab\u007F\""`},
		{"a\u202eb\U000e0041\\", `"a\u202Eb\U000E0041\\"`}, // if the characters were shown, the name would look different
	}
	for _, tt := range tests {
		if got := quote(tt.s); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.s, got, tt.want)
		}
	}
}

func TestAddTo(t *testing.T) {
	const table = "[accounts.work]\nserver = \"smtps://smtp.example.org\"\nfrom = \"ann@example.org\"\n"
	tests := []struct{ name, old, want string }{
		{"nothing", "", asFile},
		{"a comment", "# mine\n", "# mine\naccount = \"work\"\n\n" + table},
		{"settings", "log = \"off\" # mine", "log = \"off\" # mine\naccount = \"work\"\n\n" + table},
		{"a default of its own", "account = \"home\"\n", "account = \"home\"\n\n" + table},
		{
			"an account with a comment",
			"log = \"off\"\n\n# at home\n[accounts.home] # mine\nserver = \"smtp://a.example\"",
			"log = \"off\"\naccount = \"work\"\n\n# at home\n[accounts.home] # mine\nserver = \"smtp://a.example\"\n\n" + table,
		},
		{"only an account", "[accounts.home]\n", "account = \"work\"\n\n[accounts.home]\n\n" + table},
		{"carriage returns", "log = \"off\"\r\n", "log = \"off\"\r\naccount = \"work\"\n\n" + table},
	}
	for _, tt := range tests {
		got, err := work().AddTo(tt.old)
		if err != nil || got != tt.want {
			t.Errorf("%s: got\n%s\n%v\nwant\n%s", tt.name, got, err, tt.want)
		}
	}
	for _, old := range []string{"[accounts.work]\n", "[accounts.\"work\"]\n", "accounts.work.user = \"x\"\n", "[accounts]\nwork.user = \"x\"\n"} {
		if _, err := work().AddTo(old); err == nil {
			t.Errorf("%q has the account, but no error", old)
		}
	}
}

// TestChangeIn: a setting replaces its own value, and nothing else.
func TestChangeIn(t *testing.T) {
	const secret, lines = `secret = ["file:x", "keyring"]`, "user = \"ann\"  # me\n"
	tests := []struct{ name, old, want string }{
		{"a string", "[accounts.work]\nsecret  =  \"keyring\" # mine\n" + lines, "[accounts.work]\nsecret  =  [\"file:x\", \"keyring\"] # mine\n" + lines},
		{"a list", "[accounts.work] # =\nsecret = [ # first\n'keyring',\n]\n" + lines, "[accounts.work] # =\n" + secret + "\n" + lines},
		{"a list of others", "[accounts.work]\nsecret = [ # first\n'keyring', 'file:y']\n", "[accounts.work]\n" + secret + "\n"},
		{"a list in a line", "[accounts.work]\nsecret = ['keyring'] # mine\n", "[accounts.work]\n" + secret + " # mine\n"},
		{"a key in quotes", "[accounts.\"work\"]\n\"secret\" = '=' # =\n", "[accounts.\"work\"]\n\"secret\" = [\"file:x\", \"keyring\"] # =\n"},
		{"none", "# top\n[accounts.work]\n" + lines + "\n# other\n[accounts.other]\nsecret = 'none'\n", "# top\n[accounts.work]\n" + lines + secret + "\n\n# other\n[accounts.other]\nsecret = 'none'\n"},
		{"none, in the last line", "[accounts.work]\nuser = 'ann'", "[accounts.work]\nuser = 'ann'\n" + secret},
		{"carriage returns", "[accounts.work]\r\nuser = 'ann'\r\n", "[accounts.work]\r\nuser = 'ann'\r\n" + secret + "\n"},
		{"only a header", "[accounts.work] # mine\n\n", "[accounts.work] # mine\n" + secret + "\n\n"},
		{"a text of many lines", "[accounts.work]\nuser = \"\"\"\nann\"\"\"\n", "[accounts.work]\nuser = \"\"\"\nann\"\"\"\n" + secret + "\n"},
	}
	s := Settings{{"secret", []string{"file:x", "keyring"}}}
	for _, tt := range tests {
		if got, err := s.ChangeIn(tt.old, "work"); err != nil || got != tt.want {
			t.Errorf("%s: got\n%s\n%v, want\n%s", tt.name, got, err, tt.want)
		}
	}
	for _, old := range []string{"", "[accounts.other]\n", "accounts.work.user = 'x'\n", "[accounts]\nwork.user = 'x'\n", "accounts = {work = {secret = 'keyring'}}\n"} {
		if got, err := s.ChangeIn(old, "work"); err == nil || !strings.Contains(err.Error(), secret) {
			t.Errorf("%q has no table of its own, but got %q, %v", old, got, err)
		}
	}
}

// TestRemoveAccount: an account goes with its comment, and with the setting that names it.
func TestRemoveAccount(t *testing.T) {
	const other = "# other\n[accounts.other]\nserver = 'smtp://x.example'\n"
	tests := []struct{ name, old, want string }{
		{"the only one", "# work\n[accounts.work]\nuser = 'ann'\n", ""},
		{"the first", "[accounts.work]\nuser = 'ann' # me\n\n" + other, other},
		{"the last", other + "\n# work\n# and more\n[accounts.work]\nuser = 'ann'", other},
		{"between others", other + "\n[accounts.work]\n\n[accounts.third]\nuser = 'x'\n", other + "\n[accounts.third]\nuser = 'x'\n"},
		{"the default", "log = \"off\"\naccount = \"work\" # mine\n\n[accounts.work]\nuser = 'ann'\n\n" + other, "log = \"off\"\n\n" + other},
		{"not the default", "account = 'other'\n\n[accounts.'work']\nuser = 'ann'\n\n" + other, "account = 'other'\n\n" + other},
		{"with settings", "log = \"off\"\n\n[accounts.work]\nuser = 'ann'\n", "log = \"off\"\n"},
	}
	for _, tt := range tests {
		if got, err := RemoveAccount(tt.old, "work"); err != nil || got != tt.want {
			t.Errorf("%s: got\n%q\n%v, want\n%q", tt.name, got, err, tt.want)
		}
	}
	for _, old := range []string{"", other, "accounts.work.user = 'x'\n", "accounts = {work = {secret = 'keyring'}}\n"} {
		if got, err := RemoveAccount(old, "work"); err == nil {
			t.Errorf("%q has no table of its own, but got %q", old, got)
		}
	}
}

// only returns the file at path; no other configuration file is loaded.
func only(path, home string) File {
	return File{Path: path, Paths: config.Paths{Explicit: path, Home: home}}
}

// write makes the file and its folder.
func write(file File, text string) error {
	_, err := file.MakeFolder()
	return errors.Join(err, file.save(text))
}

// TestAdd: nothing is added if the file could not be loaded afterwards.
func TestAdd(t *testing.T) {
	home := t.TempDir()
	file := only(filepath.Join(home, "config.toml"), home)
	if text, _, err := file.Check(work().AddTo); err != nil || text != asFile {
		t.Errorf("no file: %s, %v", text, err)
	}
	for _, old := range []string{"log = 3\n", "log = \n", asFile, "accounts = {home = {server = 'smtp://a.example'}}\n"} {
		if err := os.WriteFile(file.Path, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, err := file.Check(work().AddTo); err == nil {
			t.Errorf("added to %q: %s", old, text)
		}
	}
	bad := work()
	bad.Accounts[0].Set("server", "smtp.example.org")
	if _, _, err := only(filepath.Join(home, "none"), home).Check(bad.AddTo); err == nil {
		t.Error("a server without a scheme was taken")
	}
}

func TestSave(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	top := t.TempDir()
	home := filepath.Join(top, "ann")
	mine, all, link := filepath.Join(home, "a", "config.toml"), filepath.Join(top, "etc", "config.toml"), filepath.Join(home, "link.toml")
	for _, path := range []string{mine, all} {
		if err := write(only(path, home), asFile); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(all, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(all, link); err != nil {
		t.Fatal(err)
	}
	if err := only(link, home).save("# new\n"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range []string{mine, filepath.Dir(mine), all, filepath.Dir(all), link} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Mode().String())
	}
	if want := []string{"-rw-------", "drwx------", "-rw-r-----", "drwxr-xr-x", "Lrwxrwxrwx"}; !slices.Equal(got, want) {
		t.Errorf("modes %v, want %v", got, want)
	}
	if text, _ := os.ReadFile(all); string(text) != "# new\n" {
		t.Errorf("the link's file has %q", text)
	}
	for _, folder := range []string{filepath.Dir(mine), filepath.Dir(all)} {
		if files, _ := os.ReadDir(folder); len(files) != 1 {
			t.Errorf("left behind: %v", files)
		}
	}
}

// TestWritable: a file that cannot be written is found before a person is asked.
func TestWritable(t *testing.T) {
	if os.PathSeparator == '\\' || os.Geteuid() == 0 {
		t.Skip("every folder can be written to")
	}
	home := t.TempDir()
	fixed, link := filepath.Join(home, "fixed"), filepath.Join(home, "link.toml")
	if err := errors.Join(os.Mkdir(fixed, 0o700), os.WriteFile(filepath.Join(fixed, "config.toml"), nil, 0o600), os.Symlink(filepath.Join(fixed, "config.toml"), link), os.Chmod(fixed, 0o500)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(fixed, 0o700) })
	for path, want := range map[string]bool{"a/b/c.toml": true, "c.toml": true, "fixed/config.toml": false, "fixed/a/b.toml": false, "link.toml": false} {
		err := only(filepath.Join(home, path), home).Writable()
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, _ := os.ReadDir(home); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSaveSyncs: if the folder cannot be opened, it cannot be synced. The file may not
// survive a crash then, so save returns an error.
func TestSaveSyncs(t *testing.T) {
	if os.PathSeparator == '\\' || os.Geteuid() == 0 {
		t.Skip("every folder can be opened")
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o300); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o700)
	if err := only(filepath.Join(folder, "config.toml"), "").save(asFile); err == nil || status.KindOf(err) != status.Temporary {
		t.Errorf("got %v", err)
	}
}
