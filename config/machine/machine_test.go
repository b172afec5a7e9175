package machine

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
)

// manual returns a section of sendoff-server(7).
func manual(t *testing.T, section string) string {
	t.Helper()
	page, err := os.ReadFile("../../man/sendoff-server.7")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(strings.ReplaceAll(string(page), "\r\n", "\n"), "\n.Sh "+section+"\n")
	if !ok {
		t.Fatalf("sendoff-server(7) has no section %s", section)
	}
	text, _, _ = strings.Cut(text, "\n.Sh ")
	return text
}

func example() *Machine {
	return &Machine{Name: "example", Server: "smtps://smtp.example.org", User: "alerts@example.org", From: "alerts@example.org", systemd: true}
}

// TestManual holds the table of files, and the texts that people change, against the manual.
func TestManual(t *testing.T) {
	text := manual(t, "ONE CREDENTIAL FOR A MACHINE")
	var want, got []string
	for _, p := range parts {
		want = append(want, p.path)
	}
	want = append(want, usersFile)
	for _, m := range regexp.MustCompile(`(?m)^\.It Pa (\S+)`).FindAllStringSubmatch(text, -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the manual has the files\n%q, the table\n%q", got, want)
	}
	users, err := example().users("")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []string{example().settings(), users} {
		if !strings.Contains(text, "\n.Bd -literal\n"+block+".Ed\n") {
			t.Errorf("the manual does not show\n%s", block)
		}
	}
}

// TestUsers: the configuration that everybody reads keeps what it has, but for an account
// with the same address, whose password only root could read.
func TestUsers(t *testing.T) {
	const account = "[accounts.example]\nserver = \"unix:/run/sendoff/submit.sock\"\nfrom = \"alerts@example.org\"\n"
	for _, test := range []struct{ name, before, after string }{
		{"a new file", "", account},
		{"the same", "# ours\n" + account, "# ours\n" + account},
		{"only settings", "log = \"off\"\n", "log = \"off\"\n\n" + account},
		{
			"the same address", "# for root\n[accounts.old]\nserver = \"smtps://smtp.example.org\"\nuser = \"alerts@example.org\"\nsecret = \"file:/etc/sendoff/old.secret\"\n",
			account,
		},
		{
			"another account", "[accounts.work]\nserver = \"smtps://mail.example.net\"\nfrom = \"bob@example.net\"\n",
			"account = \"example\"\n\n[accounts.work]\nserver = \"smtps://mail.example.net\"\nfrom = \"bob@example.net\"\n\n" + account,
		},
	} {
		after, err := example().users(test.before)
		if err != nil || after != test.after {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, after, test.after)
		}
	}
}

// TestSettings: the configuration of the service is one that it can use.
func TestSettings(t *testing.T) {
	for _, m := range []*Machine{example(), {Name: "x", Server: "smtp+plain://127.0.0.1:25", From: "ann@example.org"}} {
		c, err := config.Check(config.Paths{Explicit: "service.toml"}, "service.toml", m.settings())
		if err != nil {
			t.Fatalf("%v in\n%s", err, m.settings())
		}
		a := c.Standard()
		if a == nil || !a.ForceSender || a.User != m.User || len(a.Secret) != min(1, len(m.User)) || c.Listen != m.socket() {
			t.Errorf("%+v, with\n%s", a, m.settings())
		}
	}
}

// TestLoadsCredentials: an older systemd is not trusted with the password.
func TestLoadsCredentials(t *testing.T) {
	for text, want := range map[string]bool{"systemd 252 (252.39-1~deb12u2)\n+PAM": true, "systemd 247": true, "systemd 239 (239-82.el8)\n": false, "": true} {
		if loadsCredentials(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestUnits: the units lead to the files of the table, and a path with a percent sign
// stays what it is.
func TestUnits(t *testing.T) {
	for _, u := range Units("/opt/100%%/sendoff") {
		if strings.Contains(u.Text, "PROGRAM") {
			t.Errorf("%s: PROGRAM is not replaced", u.Name)
		}
	}
	text := Units("/usr/bin/sendoff")[1].Text
	for _, line := range []string{
		"ExecStart=/usr/bin/sendoff --listen --config " + settingsFile,
		"LoadCredentialEncrypted=" + credentialName + ":" + encryptedFile,
		"ConditionPathExists=" + settingsFile,
		"User=" + User,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	if text := Units("")[0].Text; !strings.Contains(text, "ListenStream="+systemdSocket+"\n") {
		t.Errorf("the socket unit opens another socket than %s:\n%s", systemdSocket, text)
	}
	m := example()
	if m.secret = secretFile; !strings.Contains(m.dropIn(), "\nLoadCredential="+credentialName+":"+secretFile+"\n") {
		t.Errorf("the unit does not load %s:\n%s", secretFile, m.dropIn())
	}
}
