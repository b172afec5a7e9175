package config

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestIdentify(t *testing.T) {
	id := Identify()
	if id.Login == "" || id.Hostname == "" || id.UID != os.Geteuid() {
		t.Errorf("%+v", id)
	}
}

func TestFullName(t *testing.T) {
	for _, row := range []struct{ gecos, login, want string }{
		{"Ann Bee,Room 7,,", "ann", "Ann Bee"},
		{"& Bee", "ann", "Ann Bee"},
		{"&", "", "&"},
		{" Ann\tB\r\nBcc: x\x1b[31m ", "ann", "AnnBBcc: x[31m"},
		{"", "ann", ""},
		{",x", "ann", ""},
	} {
		if got := fullName(row.gecos, row.login); got != row.want {
			t.Errorf("%q: %q, want %q", row.gecos, got, row.want)
		}
	}
}

func TestFQDN(t *testing.T) {
	const hosts = `
127.0.0.1 localhost.localdomain localhost alone
# 192.0.2.1 wrong.example.org host
127.0.1.1	host.example.org	Host # not other
192.0.2.3 short
192.0.2.3 short short.example.net.
192.0.2.4
192.0.2.5 <bad>.x bad
`
	for _, row := range []struct{ host, want string }{
		{"host", "host.example.org"},
		{"a.b.example", "a.b.example"},
		{"a.b.example.", "a.b.example"},
		{"short", "short.example.net"},
		{"alone", ""},
		{"other", ""},
		{"bad", ""},
		{"", ""},
	} {
		if got := fqdn(row.host, hosts); got != row.want {
			t.Errorf("%q: %q, want %q", row.host, got, row.want)
		}
	}
}

// TestHostNames: host names of containers and small systems are not an error.
func TestHostNames(t *testing.T) {
	for _, row := range []struct{ host, name, full string }{
		{"(none)", "", ""},
		{"", "", ""},
		{"host.", "host", "host.example.org"},
		{"my_host", "my_host", ""},
		{"web.my_project_default", "web.my_project_default", "web.my_project_default"},
		{"-x.example.org", "-x.example.org", "-x.example.org"},
		{"bad name", "bad", ""},
		{"<bad>", "", ""},
	} {
		name := firstDomain(row.host)
		full := fqdn(name, "127.0.1.1 host.example.org host\n")
		if name != row.name || full != row.full {
			t.Errorf("%q: %q, %q, want %q, %q", row.host, name, full, row.name, row.full)
		}
	}
}

func TestFirstDomain(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"example.org\n", "example.org"}, {"\n a.example. \nb", "a.example"}, {"", ""}, {"a@b\n", ""}, {"a\r\n", "a"},
	} {
		if got := firstDomain(row.text); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
}

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are those of Unix")
	}
	ours, uid := t.TempDir(), os.Geteuid()
	gone := filepath.Join(ours, "gone")
	ann := Identity{UID: uid, Home: "/home/ann"}
	const rest = "/sendoff/config.toml"
	for _, row := range []struct {
		name, home, xdg string
		id              Identity
		want            string
	}{
		{"own home", ours, "", ann, ours + "/.config" + rest},
		{"no home", "", "", ann, "/home/ann/.config" + rest},
		{"missing home", gone, "", ann, "/home/ann/.config" + rest},
		{"another's home", ours, "", Identity{UID: uid + 1, Home: "/home/ann"}, "/home/ann/.config" + rest},
		{"unknown user", ours, "", Identity{UID: uid + 1}, ours + "/.config" + rest},
		{"unknown user, no home", "", "", Identity{UID: uid}, ""},
		{"relative home", ".", "", Identity{UID: uid}, ""},
		{"own XDG", "", ours, ann, ours + rest},
		{"relative XDG", "", ".", ann, "/home/ann/.config" + rest},
		{"another's XDG", "", ours, Identity{UID: uid + 1, Home: "/home/ann"}, "/home/ann/.config" + rest},
	} {
		if uid == 0 && row.name == "another's XDG" {
			continue // a folder of root's may be used by everybody
		}
		getenv := func(name string) string {
			switch name {
			case "HOME":
				return row.home
			case "XDG_CONFIG_HOME":
				return row.xdg
			}
			return ""
		}
		p := Find("", getenv, row.id)
		if p.User != row.want || p.System != "/etc"+rest || p.Explicit != "" {
			t.Errorf("%s: %+v, want %s", row.name, p, row.want)
		}
	}
	if p := Find("x", func(string) string { return "" }, ann); p.Explicit != "x" {
		t.Errorf("%+v", p)
	}
}
