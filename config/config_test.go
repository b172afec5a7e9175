package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// texts returns the texts of references.
func texts(refs []secret.Ref) string {
	var all []string
	for _, r := range refs {
		all = append(all, r.Text())
	}
	return strings.Join(all, " ")
}

// parse loads a single file with this text.
func parse(text string) (*Config, error) {
	c := &Config{}
	if err := c.add("f", []byte(text), "/home/ann"); err != nil {
		return nil, err
	}
	return c, c.checkNames()
}

const example = `
account = "work"                              # the default account

[accounts.work]
server = "smtps://smtp.example.org"
user   = "ann@example.org"
from   = ["ann@example.org", "*@lists.example.org"]
secret = "keyring"
`

const full = `
account = "a"
hostname = "host.example.org"
domain = "example.org"
queue = "off"
[accounts.b]
server = "smtp+plain://localhost:2525"
[accounts.a]
server = ["smtps://One.Example.org", "smtp://[2001:db8::1]:25"]
user = "ann"
from = "ann@example.org"
full-name = "Ann Bee"
refresh-token = "file:tokens/a"
secret = ["keyring", "command:pass show mail", "file:secrets/a", "file:~/a", "file:/a"]
auth = ["plain", "LOGIN"]
force-sender = true
max-size = "25M"
max-recipients = 7
rate = "30/1m"
tls-ca = "ca.pem"
tls-fingerprint = "00:11223344556677889900112233445566778899001122334455667788990011"
tls-cert = "~/cert.pem"
tls-key = "/key.pem"
tls-name = "mail.example.org"
server-user = "davmail"
tls-legacy = true
source-address = "192.0.2.1"
address-family = 4
timeout = "90s"
proxy = "socks5://iso@127.0.0.1:9050"
proxy-secret = "file:proxy"
one-flight = true
`

func TestLoadEverySetting(t *testing.T) {
	c, err := parse(full)
	if err != nil {
		t.Fatal(err)
	}
	if c.Account != "a" || c.Hostname != "host.example.org" || c.Domain != "example.org" || c.Queue != "off" {
		t.Errorf("top: %+v", c)
	}
	if len(c.Accounts) != 2 || c.Accounts[0].Name != "b" || c.Accounts[1].Name != "a" {
		t.Fatalf("accounts are not in the file's order")
	}
	a := c.Accounts[1]
	for i := range reflect.TypeOf(*a).NumField() {
		name := reflect.TypeOf(*a).Field(i).Name
		if zero := reflect.ValueOf(*a).Field(i).IsZero(); zero != (name == "UserFrom") { // is not a setting of a file
			t.Errorf("%s: zero is %v", name, zero)
		}
	}
	where, _ := filepath.Abs("f")
	for _, row := range []struct{ got, want any }{
		{a.Servers[0].String(), "smtps://one.example.org:465"},
		{a.Servers[1].Address(), "[2001:db8::1]:25"},
		{a.MaxSize, Size(25 << 20)},
		{a.Auth[0], "PLAIN"},
		{a.File, where},
		{a.TLSCA, filepath.Join(filepath.Dir(where), "ca.pem")},
		{a.TLSCert, filepath.Join("/home/ann", "cert.pem")},
		{texts(a.Secret), "keyring command:pass show mail file:" + filepath.Join(filepath.Dir(where), "secrets", "a") + " file:~/a file:/a"},
		{a.RefreshToken.Text(), "file:" + filepath.Join(filepath.Dir(where), "tokens", "a")},
		{a.AddressFamily, Family(4)},
		{a.TLSFingerprint[0], Fingerprint([]byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\x00\x11"))},
		{a.Timeout.Seconds(), 90.0},
		{a.Proxy, Proxy{"127.0.0.1:9050", "iso"}},
		{a.ProxySecret[0].Text(), "file:" + filepath.Join(filepath.Dir(where), "proxy")},
		{c.Accounts[0].MaxRecipients, 100},
	} {
		if row.got != row.want {
			t.Errorf("got %v, want %v", row.got, row.want)
		}
	}
}

// account returns a file with an account that is valid but for settings, which begin in
// line 2, column 1.
func account(settings string) string {
	return "[accounts.a]\n" + settings + "\nserver = \"smtps://h.example\"\n"
}

func TestLoadErrors(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		// bad TOML
		{"\ufeffaccount = \"a\"\n", "f:1:1: the file begins with a byte order mark; save it without"},
		{"account = \n", "f:1:11: unexpected character U+000A at start of value"},
		{"account = \"a\"\naccount = \"b\"\n", "f:2:1: account: key account is already defined"},
		{account("user = \"a\"\nuser = \"b\""), "f:3:1: user: key user is already defined"},
		{"[accounts.a]\nserver = \"smtps://h\"\n[accounts.a]\n", "f:3:2: accounts.a: table a already exists"},
		{"root:$6$salt$hash:19000:0:99999:7:::\n", "f:1:5: "},
		{"-----BEGIN PRIVATE KEY-----\n", "f:1:"},
		{"hunter2\n", "f:1:"},
		{"account = \"a\xff\"\n", "f:1:13: "},

		// missing quotes
		{account("user = ann"), "f:2:8: unexpected character U+0061 'a' at start of value; put a string in quotes"},
		{account("user = tom"), "f:2:8: expected keyword \"true\"; put a string in quotes"},
		{account("tls-ca = ~/ca.pem"), "f:2:10: unexpected character U+007E '~' at start of value; put a string in quotes"},
		{account("secret = [\"none\", keyring]"), "f:2:19: unexpected character U+006B 'k' at start of value; put a string in quotes"},
		{account("source-address = 192.0.2.1"), "f:2:23: expected newline but got U+002E '.'; put a string in quotes"},
		{account("max-size = 25M"), "f:2:14: strings must be quoted"},

		// unknown keys
		{"acount = \"a\"\n", "f:1:1: unknown key acount; did you mean account?"},
		{"[account.work]\n", "f:1:2: account takes a string, not a table; did you mean [accounts.work]?"},
		{"account.\"a b\".user = \"u\"\n", `f:1:1: account takes a string, not a table; did you mean [accounts."a b"]?`},
		{"[account]\n", "f:1:2: account takes a string, not a table; did you mean [accounts.NAME]?"},
		{"[acounts.a]\n", "f:1:2: unknown key acounts.a; did you mean accounts?"},
		{"\n  Account = \"a\"\n", "f:2:3: unknown key Account; did you mean account?"},
		{"xyzzy = 1\n", "f:1:1: unknown key xyzzy"},
		{"\"\\u001b[31m\" = 1\n", `f:1:1: unknown key "\x1b[31m"`},
		{"server = \"smtps://h\"\n", "f:1:1: unknown key server; it belongs in an account, below [accounts.NAME]"},
		{account("domain = \"d\""), "f:2:1: unknown key accounts.a.domain; it belongs at the top of the file, before the first [table]"},
		{account("form = \"d\""), "f:2:1: unknown key accounts.a.form; did you mean from?"},
		{account("password = \"hunter2\""), "f:2:1: unknown key accounts.a.password; a password is not allowed here: see secret"},
		{"password = \"hunter2\"\n", "f:1:1: unknown key password; a password is not allowed here: see secret"},
		{account("passwordeval = \"pass hunter2\""), `f:2:1: unknown key accounts.a.passwordeval; write secret = "command:…"`},
		{"host = \"h.example\"\n", `f:1:1: unknown key host; write server = "smtps://HOST"`},
		{account("host = \"h.example\""), `f:2:1: unknown key accounts.a.host; write server = "smtps://HOST"`},
		{account("port = 587"), `f:2:1: unknown key accounts.a.port; write it in server, as in "smtps://HOST:465"`},
		{account("tls = true"), `f:2:1: unknown key accounts.a.tls; choose it with server: "smtps://HOST" is TLS from the start, "smtp://HOST" is STARTTLS`},
		{account("tls_starttls = true"), `f:2:1: unknown key accounts.a.tls_starttls; choose it with server: "smtps://HOST" is`},
		{account("TLS-Trust-File = \"x\""), "f:2:1: unknown key accounts.a.TLS-Trust-File; write tls-ca"},
		{account("tls_fingerprint = \"x\""), "f:2:1: unknown key accounts.a.tls_fingerprint; did you mean tls-fingerprint?"},
		{account("[accounts.a.port]"), "f:2:2: unknown key accounts.a.port; write it in server"},
		{"accounts.a = { server = \"smtps://h\", usr = \"u\" }\n", "f:1:38: unknown key accounts.a.usr; did you mean user?"},
		{"logs = \"syslog\"\n", "f:1:1: unknown key logs; did you mean log?"},
		{"[oauth2.google]\nclientid = \"x\"\n", "f:2:1: unknown key oauth2.google.clientid; did you mean client-id?"},
		{"[oauth2.google]\nsessions = 2\n", "f:2:1: unknown key oauth2.google.sessions; it belongs at the top of the file"},
		{"[oaut2.google]\n", "f:1:2: unknown key oaut2.google; did you mean oauth2?"},

		// wrong types
		{"account = 7\n", "f:1:1: account takes a string, not a whole number"},
		{"accounts = 7\n", "f:1:1: accounts is a table, as in [accounts.work]"},
		{"[[accounts]]\n", "f:1:3: accounts is a table, as in [accounts.work]"},
		{"accounts = [{}]\n", "f:1:1: accounts is a table, as in [accounts.work]"},
		{"accounts.a = \"x\"\n", "f:1:1: accounts.a is a table, as in [accounts.work]"},
		{"[[accounts.a]]\n", "f:1:3: accounts.a is a table, as in [accounts.work]"},
		{account("user = [\"a\"]"), "f:2:1: accounts.a.user takes a string, not a list"},
		{account("from = 1979-05-27"), "f:2:1: accounts.a.from takes a string or a list of strings, not a date or time"},
		{account("from = [\"a@b\", 2]"), "f:2:1: accounts.a.from takes a string or a list of strings, not a list with a whole number"},
		{account("from = [[\"a@b\"]]"), "f:2:1: accounts.a.from takes a string or a list of strings, not a list with a list"},
		{account("force-sender = \"yes\""), "f:2:1: accounts.a.force-sender takes true or false, not a string"},
		{account("timeout = 30"), `f:2:1: accounts.a.timeout takes a string, not a whole number; write it with a unit, as in "30s"`},
		{account("auth = true"), "f:2:1: accounts.a.auth takes a string or a list of strings, not true or false; without it any mechanism may be used"},
		{account("max-size = 1.5"), "f:2:1: accounts.a.max-size takes a whole number or a string, not a number with a fraction"},
		{account("tls-name = true"), "f:2:1: accounts.a.tls-name takes a string, not true or false"},
		{account("[accounts.a.from]\nx = 1"), "f:2:2: accounts.a.from takes a string or a list of strings, not a table"},
		{account("from.x = 1"), "f:2:1: accounts.a.from takes a string or a list of strings, not a table"},

		// providers of access tokens
		{"oauth2 = \"google\"\n", "f:1:1: oauth2 is a table, as in [oauth2.google]"},
		{"[oauth2.\"a b\"]\n", `f:1:2: provider name "a b" may hold only letters`},
		{"[oauth2.x]\n", "f:1:2: oauth2.x has no client-id"},
		{"[oauth2.google]\n", "f:1:2: oauth2.google has no client-id"},
		{"[oauth2.x]\nclient-id = \"x\"\n", "f:1:2: oauth2.x has no token-url"},
		{"[oauth2.x]\nclient-id = \"x\"\ntoken-url = \"https://x.example/t\"\n", "f:1:2: oauth2.x has neither auth-url nor device-url"},
		{"[oauth2.x]\nclient-id = \"x\"\ntoken-url = \"https://x.example/{tenant}/t\"\n", "f:1:2: oauth2.x has no tenant"},
		{"[oauth2.google]\nclient-id = \"x\"\ngrant = \"client-credentials\"\n", "f:1:2: oauth2.google has no client-secret, which client-credentials needs"},
		{"[oauth2.google]\nclient-id = \"x\"\ngrant = \"password\"\n", "f:1:2: oauth2.google has a grant that is not"},
		{"[oauth2.google]\nclient-id = \"x\"\nscopes = \"a b\"\n", "f:1:2: oauth2.google has a scope that is empty or more than one"},
		{"[oauth2.google]\nclient-id = \"x\"\nclient-secret = \"hunter2\"\n", "f:3:17: oauth2.google.client-secret: unknown secret source; "},
		{"[oauth2.google]\nredirect-url = \"x\"\n", "f:2:16: oauth2.google.redirect-url: the address to which a provider sends the browser is written http://localhost:PORT/PATH, or as it was registered"},
		{"[accounts.x]\nserver = \"smtps://h\"\nproxy = \"socks5://h\"\nproxy-secret = \"keyring\"\n", "f:4:1: proxy-secret has no effect without a user in proxy"},
		{"[accounts.x]\nserver = \"smtps://h\"\nproxy = \"socks5://u:hunter2@h\"\n", "f:3:9: accounts.x.proxy: a password is not allowed in proxy: set proxy-secret to where it is"},
		{"[oauth2.google]\ntoken-url = \"http://x.example/t\"\n", "f:2:13: oauth2.google.token-url: an address of a provider begins with https://, unless it is on this machine"},
		{"[oauth2.google]\ntoken-url = \"https://ann:hunter2@x.example/t\"\n", "f:2:13: oauth2.google.token-url: an address of a provider is written https://HOST/PATH"},
		{account("refresh-token = \"none\""), "f:2:17: accounts.a.refresh-token: it must be writable"},
		{account("secret = \"oauth2:google\""), "f:2:1: secret oauth2:google: the configuration has no [oauth2.google], with a client-id"},
		{account("secret = [\"keyring\", \"oauth2:x\"]"), "f:2:1: secret oauth2:x: the configuration has no [oauth2.x]"},

		// values that are not allowed
		{"[accounts.\"a b\"]\n", `f:1:2: account name "a b" may hold only letters, digits and -_.+@, and may not begin with - or .`},
		{"[accounts.\"\"]\n", "f:1:2: account name \"\" may hold"},
		{"[accounts.a]\nuser = \"u\"\n", "f:1:2: account a has no server"},
		{"[accounts.a]\nserver = []\n", "f:1:2: account a has no server"},
		{"[accounts.a]\n", "f:1:2: account a has no server"},
		{"account = \"b\"\n" + account(""), `f:1:1: account = "b" names no account; known accounts: a`},
		{"account = \"b\"\n", `f:1:1: account = "b" names no account; no account is configured`},
		{"account = \"\"\n", `f:1:1: account = "" names no account; no account is configured`},
		{"hostname = \"a b\"\n", "f:1:1: hostname is not a host name"},
		{"hostname = \"\"\n", "f:1:1: hostname is not a host name"},
		{"domain = \"a@b\"\n", "f:1:1: domain is not a domain"},
		{"queue = \"\"\n", `f:1:1: queue is a folder, or "off"`},
		{"queue-limit = -1\n", `f:1:1: queue-limit must not be negative`},
		{"lifetime = \"0d\"\n", `f:1:12: lifetime: a time is a number with a unit, such as "90s", "2m" or "5d"`},
		{"retry = [\"1h\"]\n", `f:1:1: retry is two times, the first wait and the longest, as in ["1m", "1h"]`},
		{"retry = [\"1h\", \"1m\"]\n", `f:1:1: retry is two times, the first wait and the longest, as in ["1m", "1h"]`},
		{"log = \"\"\n", `f:1:1: log is "syslog", "stderr", "off" or a file`},
		{"log-format = \"xml\"\n", `f:1:1: log-format is "text" or "json"`},
		{"sessions = 0\n", `f:1:1: sessions must be 1 or more`},
		{"runner = \"yes\"\n", `f:1:1: runner is "auto", "on" or "off"`},
		{"notify-command = \"a | b\"\n", `f:1:1: notify-command: no shell is run: quote the |, or write sh -c '...'`},
		{"[accounts.a]\nserver = \"smtps://h\"\ndeliver = \"later\"\n", `f:3:1: deliver is "now", "background" or "queue"`},
		{account("user = \"a\\nb\""), "f:2:1: accounts.a.user holds a control character or a line break"},
		{account("secret = \"hunter2\""), "f:2:10: accounts.a.secret: unknown secret source; "},
		{account("secret = [\"none\",\n  \"hunter2\"]"), "f:3:3: accounts.a.secret: unknown secret source; "},
		{account("secret = [\"\"]"), "f:2:11: accounts.a.secret: unknown secret source; "},
		{account("secret = \"file:\""), "f:2:10: accounts.a.secret: secret source file:PATH: the path must be absolute"},
		{"accounts.a = { secret = [\"none\", \"hunter2\"], server = \"smtps://h\" }\n", "f:1:34: accounts.a: unknown secret source; "},
		{account("secret = [\"none\", \"file:\\u0000\"]"), "f:2:1: accounts.a.secret holds a control character or a line break"},
		{account("auth = [\"plain\", \"PLIAN\"]"), "f:2:18: accounts.a.auth: unknown mechanism \"PLIAN\"; known are EXTERNAL, OAUTHBEARER, XOAUTH2, PLAIN, LOGIN, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5; without it any mechanism may be used"},
		{account("auth = \"on\""), "f:2:8: accounts.a.auth: unknown mechanism \"ON\"; known are EXTERNAL, OAUTHBEARER, XOAUTH2, PLAIN, LOGIN, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5; without it any mechanism may be used"},
		{account("max-recipients = 0"), "f:2:1: max-recipients must be 1 or more"},
		{account("max-size = -1"), "f:2:1: max-size must not be negative"},
		{account("max-size = \"25 MB\""), `f:2:12: accounts.a.max-size: a size is a number of octets, or a string such as "500K", "25M" or "1G"`},
		{account("max-size = \"9999999999G\""), "f:2:12: accounts.a.max-size: a size is"},
		{account("max-size = 99999999999999999999"), "f:2:12: accounts.a.max-size: decimal number is too large"},
		{account("timeout = \"soon\""), `f:2:11: accounts.a.timeout: a time is a number with a unit, such as "90s", "2m" or "5d"`},
		{account("timeout = \"0s\""), "f:2:11: accounts.a.timeout: a time is"},
		{account("address-family = 5"), `f:2:1: address-family is 4, 6 or "any"`},
		{account("address-family = 0"), `f:2:1: address-family is 4, 6 or "any"`},
		{account("address-family = \"ipv4\""), `f:2:18: accounts.a.address-family: address-family is 4, 6 or "any"`},
		{account("source-address = \"localhost\""), "f:2:18: accounts.a.source-address: not an IP address"},
		{account("tls-fingerprint = \"abcd\""), "f:2:19: accounts.a.tls-fingerprint: a fingerprint is SHA-256"},
		{account("tls-fingerprint = []"), "f:2:1: tls-fingerprint has none"},
		{account("tls-fingerprint = 7"), "f:2:1: accounts.a.tls-fingerprint takes a string or a list of strings, not a whole number"},
		{account("tls-name = \"*.x\""), "f:2:1: tls-name is not a host name"},
		{account("tls-key = \"k\""), "f:2:1: tls-key has no effect without tls-cert"},
		{account("from = \"ann\""), "f:2:8: accounts.a.from: an address or pattern needs an @, as in *@example.org"},
		{account("from = [\"a@b\",\n  \"a b@c\"]"), "f:3:3: accounts.a.from: not an address, nor a pattern of one"},
		{"[accounts.a]\nserver = \"localhost\"\n", "f:2:10: accounts.a.server: a server is written smtps://HOST, smtp://HOST or smtp+plain://HOST, with :PORT if need be; try \"smtps://localhost\""},
		{"[accounts.a]\nserver = \"smtps://ann:hunter2@h\"\n", "f:2:10: accounts.a.server: a server has no user or password in it; use user and secret"},
	} {
		_, err := parse(row.text)
		if err == nil {
			t.Errorf("%q: no error; want %s", row.text, row.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), row.want) || status.KindOf(err) != status.Config {
			t.Errorf("%q:\n got %s (%s)\nwant %s", row.text, err, status.KindOf(err), row.want)
		}
		for _, secret := range []string{"hunter2", "$hash", "PRIVATE"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error %q shows what may be a secret", err)
			}
		}
	}
}

// write makes a file, with its parent folders, below a new folder.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	system := write(t, filepath.Join(dir, "etc", "config.toml"), `
account = "b"
hostname = "system.example"
domain = "system.example"
[accounts.a]
server = "smtps://a.system.example"
user = "ann"
[accounts.b]
server = "smtps://b.system.example"
`)
	user := write(t, filepath.Join(dir, "home", "config.toml"), `
domain = "user.example"
[accounts.c]
server = "smtps://c.user.example"
[accounts.a]
server = "smtps://a.user.example"
`)
	missing := filepath.Join(dir, "nowhere", "config.toml")

	for _, row := range []struct {
		name  string
		paths Paths
		want  string // the default account, hostname, domain, then each account
	}{
		{"both", Paths{System: system, User: user}, "b system.example user.example c:c.user.example a:a.user.example b:b.system.example"},
		{"system", Paths{System: system, User: missing}, "b system.example system.example a:a.system.example b:b.system.example"},
		{"user", Paths{System: missing, User: user}, "  user.example c:c.user.example a:a.user.example"},
		{"explicit", Paths{System: system, User: missing, Explicit: user}, "  user.example c:c.user.example a:a.user.example"},
		{"none", Paths{System: missing}, "  "},
		{"below a file", Paths{User: filepath.Join(system, "x")}, "  "},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := Load(row.paths)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Account + " " + c.Hostname + " " + c.Domain
			for _, a := range c.Accounts {
				got += " " + a.Name + ":" + a.Servers[0].Host
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}

	c, err := Load(Paths{System: system, User: user})
	if err != nil {
		t.Fatal(err)
	}
	if a := c.find("a"); a.User != "" || a.File != user {
		t.Errorf("the user's account a has something of the system's: %+v", a)
	}
	if !reflect.DeepEqual(c.Files, []string{system, user}) {
		t.Errorf("files %q", c.Files)
	}
}

func TestLoadDefaultOfTheOtherFile(t *testing.T) {
	dir := t.TempDir()
	system := write(t, filepath.Join(dir, "system.toml"), "\naccount = \"home\"\n")
	user := write(t, filepath.Join(dir, "user.toml"), account(""))
	_, err := Load(Paths{System: system, User: user})
	want := system + `:2:1: account = "home" names no account; known accounts: a`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := write(t, filepath.Join(dir, name, "config.toml"), example)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	type row struct {
		path, want string
		unix, user bool
	}
	rows := []row{
		{path: filepath.Join(dir, "missing.toml"), want: ": no such file"},
		{path: filepath.Join(dir, "big.toml", "x"), want: ": no such file"},
		{path: dir, want: ": not a regular file"},
		{path: write(t, filepath.Join(dir, "big.toml"), strings.Repeat("#\n", maxFile/2+1)), want: ": larger than 1 MiB, so it is something else"},
		{path: file("world", 0o602), want: ": others can write it (mode 0602)", unix: true},
		{path: file("unreadable", 0o000), want: ": permission denied", unix: true, user: true},
	}
	for _, row := range rows {
		if row.unix && runtime.GOOS == "windows" || row.user && os.Geteuid() == 0 {
			t.Logf("%s: skipped, for it needs Unix, and a user who is not root", row.path)
			continue
		}
		_, err := Load(Paths{Explicit: row.path})
		want := row.path + row.want
		if err == nil || !strings.HasPrefix(err.Error(), want) || status.KindOf(err) != status.Config {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestLoadNamesTheFolder: if the mode of a folder is wrong, the error names the folder.
func TestLoadNamesTheFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access rights are not judged on Windows")
	}
	folder := filepath.Join(t.TempDir(), "folder")
	path := write(t, filepath.Join(folder, "sub", "config.toml"), example)
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Paths{Explicit: path})
	if err == nil {
		t.Fatal("no error")
	}
	wrong, ok := strings.CutPrefix(err.Error(), path+": ")
	if !ok || !strings.Contains(wrong, folder) || !strings.Contains(wrong, "(mode 0777)") {
		t.Errorf("got %v, which should name %s", err, folder)
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{example, full, "", "\ufeff", "accounts={a={server='smtps://h'}}", "[accounts.a]\nserver=\"unix:/x\"",
		"accounts.a.server=[\n'smtp://h',#\n]", "[[accounts]]", "a.b.c=1", "account=1e400", "account=1979-05-27T07:32:00Z"} {
		f.Add(seed)
	}
	place := regexp.MustCompile(`^f:[1-9][0-9]*:[1-9][0-9]*: .`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			if !place.MatchString(err.Error()) || status.KindOf(err) != status.Config || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error %q has no place, or the wrong kind", err)
			}
			return
		}
		for _, a := range c.Accounts {
			if a.Name == "" || len(a.Servers) == 0 || a.MaxRecipients < 1 || a.MaxSize < 0 {
				t.Errorf("%+v is no account", a)
			}
			for _, s := range a.Servers {
				var again Server
				if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
					t.Errorf("%v is read as %v, %v", s, again, err)
				}
			}
		}
	})
}

// TestProviders: a built-in provider needs only the registration; for another one the table
// has everything.
func TestProviders(t *testing.T) {
	c, err := parse(`
[oauth2.google]
client-id = "g"
client-secret = "file:secrets/google"
[oauth2.microsoft]
client-id = "m"
tenant = "contoso.example"
[oauth2.own]
client-id = "o"
tenant = "a/b"
scopes = ["x", "y"]
auth-url = "https://auth.example/{tenant}/auth?prompt=consent"
device-url = "http://[::1]:8080/device"
token-url = "http://localhost:8080/token"
[accounts.a]
server = "smtps://h.example"
secret = "oauth2:own"
`)
	if err != nil {
		t.Fatal(err)
	}
	folder, _ := filepath.Abs(".")
	var got []string
	for _, p := range c.Providers {
		got = append(got, strings.Join([]string{p.Name, p.ClientID, texts(p.ClientSecret), p.Tenant, strings.Join(p.Scopes, ","), p.Grant,
			p.AuthURL.URL, p.DeviceURL.URL, p.TokenURL.URL}, " "))
	}
	want := []string{
		"google g file:" + folder + "/secrets/google  https://mail.google.com/ authorization-code https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent  https://oauth2.googleapis.com/token",
		"microsoft m  contoso.example https://outlook.office.com/SMTP.Send,offline_access authorization-code https://login.microsoftonline.com/contoso.example/oauth2/v2.0/authorize" +
			" https://login.microsoftonline.com/contoso.example/oauth2/v2.0/devicecode https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token",
		"own o  a/b x,y authorization-code https://auth.example/a%2Fb/auth?prompt=consent http://[::1]:8080/device http://localhost:8080/token",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The user's table replaces the whole table of the system's file.
	if err := c.add("user", []byte("[oauth2.microsoft]\nclient-id = \"mine\"\ngrant = \"client-credentials\"\nclient-secret = \"keyring\"\n"), "/home/ann"); err != nil {
		t.Fatal(err)
	}
	p, err := c.Provider("microsoft")
	if err != nil || p.ClientID != "mine" || p.Tenant != "common" || p.Scopes[0] != "https://outlook.office365.com/.default" {
		t.Errorf("%+v, %v", p, err)
	}
	if len(c.Providers) != 3 {
		t.Errorf("%d providers", len(c.Providers))
	}
}
