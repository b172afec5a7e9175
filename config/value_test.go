package config

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestServer(t *testing.T) {
	const form = "a server is written"
	for _, row := range []struct{ text, want string }{ // want: the server, or the beginning of the error
		{"smtps://smtp.example.org", "smtps://smtp.example.org:465"},
		{"smtp://smtp.example.org", "smtp://smtp.example.org:587"},
		{"smtp+plain://localhost", "smtp+plain://localhost:25"},
		{"SMTPS://SMTP.Example.ORG.:0990", "smtps://smtp.example.org:990"},
		{"smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525"},
		{"smtp://[::1]", "smtp://[::1]:587"},
		{"smtp://[2001:DB8:0::1]:25", "smtp://[2001:db8::1]:25"},
		{"smtp://[fe80::1%eth0]:25", "smtp://[fe80::1%eth0]:25"},
		{"smtps://mail.bücher.example", "smtps://mail.xn--bcher-kva.example:465"},
		{"smtps://my_host", "smtps://my_host:465"},

		{"", form},
		{"smtp.example.org", form},
		{"smtp.example.org:465", form},
		{"smtps:smtp.example.org", form},
		{"smpts://smtp.example.org", form},
		{"https://smtp.example.org", form},
		{"smtp+plain//h", form},
		{"unix:/run/x", "unix:/run/x"},
		{"unix:///run/x", "unix:/run/x"},
		{"UNIX:/run/x y", "unix:/run/x y"},
		{"lmtp:host:2424", "lmtp://host:2424"},
		{"lmtp:host", "lmtp://host:24"},
		{"lmtp://[::1]", "lmtp://[::1]:24"},
		{"lmtp+unix:/run/x", "lmtp+unix:/run/x"},
		{"pipe:/usr/bin/ssh host 'sendmail' -bs", "pipe:ssh"},
		{"smtps://_submissions._tcp.Example.org", "smtps://_submissions._tcp.example.org"},
		{"smtps://_submissions._tcp.example.org:465", "a server whose name begins with _ has no port"},
		{"unix:run/x", "a socket is written as a path"},
		{"unix://run/x", "a socket is written as a path"},
		{"unix:", "a socket is written as a path"},
		{"lmtp+unix:/run/\n", "a socket is written as a path"},
		{"unix", form},
		{"lmtp:/run/x", "a server ends after host and port"},
		{"pipe:", "no program"},
		{"pipe:a | b", "no shell is run"},
		{"pipe:'a", "a ' is not closed"},
		{"smtps://ann@h", "a server has no user or password in it"},
		{"smtps://ann:hunter2@h:465", "a server has no user or password in it"},
		{"smtps://h/", "a server ends after host and port"},
		{"smtps://h?x=hunter2", "a server ends after host and port"},
		{"smtps://h#x", "a server ends after host and port"},
		{"smtps://h:", "a server's port is a number"},
		{"smtps://h:0", "a server's port is a number"},
		{"smtps://h:65536", "a server's port is a number"},
		{"smtps://h:+25", "a server's port is a number"},
		{"smtps://h:smtp", "a server's port is a number"},
		{"smtps://[::1", "only an IPv6 address is written in brackets"},
		{"smtps://[127.0.0.1]", "only an IPv6 address is written in brackets"},
		{"smtps://[::1]x", "only an IPv6 address is written in brackets"},
		{"smtps://[fe80::1%a b]", "only an IPv6 address is written in brackets"},
		{"smtps://[h]:25", "only an IPv6 address is written in brackets"},
		{"smtps://2001:db8::1", "write an IPv6 address in brackets"},
		{"smtps://", "the server's host is not a host name"},
		{"smtps://:465", "the server's host is not a host name"},
		{"smtps://a..b", "the server's host is not a host name"},
		{"smtps://a b", "the server's host is not a host name"},
		{"smtps://a\r\nb", "the server's host is not a host name"},
		{"smtps://" + strings.Repeat("a.", 130) + "b", "the server's host is not a host name"},
	} {
		var s Server
		err := s.UnmarshalText([]byte(row.text))
		got := s.String()
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != row.want || !strings.HasPrefix(got, row.want) {
			t.Errorf("%q:\n got %s\nwant %s", row.text, got, row.want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("the error %q shows a password", got)
		}
	}
}

// TestIdentity has pairs of servers with equal and with different identities.
func TestIdentity(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"smtps://h.example", "smtp://H.example:2525", true},
		{"smtps://h.example", "smtps://i.example", false},
		{"unix:/run/x", "unix:///run/x", true},
		{"unix:/run/x", "lmtp+unix:/run/x", false},
		{"unix:/run/x", "unix:/run/y", false},
		{"unix:/run/x", "pipe:/run/x", false},
		{"pipe:a", "pipe:a b", false},
		{"smtps://a", "pipe:a", false},
		{"smtps://_submissions._tcp.h.example", "smtps://h.example", false},
	} {
		var a, b Server
		if err := errors.Join(a.UnmarshalText([]byte(row.a)), b.UnmarshalText([]byte(row.b))); err != nil {
			t.Fatal(err)
		}
		if (a.Identity() == b.Identity()) != row.same {
			t.Errorf("%s and %s: %q and %q", row.a, row.b, a.Identity(), b.Identity())
		}
	}
}

func TestServerName(t *testing.T) {
	for _, row := range []struct{ url, want string }{
		{"smtps://h.example:465", "h.example"},
		{"lmtp+unix:/run/x", "/run/x"},
		{"pipe:/usr/bin/ssh -x h", "ssh"},
	} {
		var s Server
		if err := s.UnmarshalText([]byte(row.url)); err != nil || s.Name() != row.want {
			t.Errorf("%s: %q, %v", row.url, s.Name(), err)
		}
	}
}

func TestProxy(t *testing.T) {
	for _, row := range []struct{ in, want, user string }{
		{"socks5://127.0.0.1", "127.0.0.1:1080", ""},
		{"socks5://proxy.example:9050/", "proxy.example:9050", ""},
		{"socks5://[::1]:9050", "[::1]:9050", ""},
		{"socks5://ann@h", "h:1080", "ann"},
		{"socks5://ann%40example.org@[::1]:9050", "[::1]:9050", "ann@example.org"},
		{"socks5://ann@example.org@h", "h:1080", "ann@example.org"},
		{"socks5://u:hunter2@h", "", ""},
		{"socks5://@h", "", ""},
		{"socks5://a%00b@h", "", "b"},
		{"http://h", "", ""},
		{"socks5://", "", ""},
		{"socks5://h:x", "", ""},
		{"h:1080", "", ""},
	} {
		var p Proxy
		err := p.UnmarshalText([]byte(row.in))
		if p.Address != row.want || err == nil && p.User != row.user || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v", row.in, p.Address, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error %q shows a password", err)
		}
	}
}

// TestServerAdvice: the error quotes the text only if it is clearly a host.
func TestServerAdvice(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"localhost", "smtps://localhost"},
		{"smtp.example.org", "smtps://smtp.example.org"},
		{"smtp.example.org:465", "smtps://smtp.example.org:465"},
		{"smtp.example.org:587", "smtp://smtp.example.org:587"},
		{"192.0.2.1", "smtps://192.0.2.1"},
		{"hunter2", ""},
		{"hunter2:587", ""},
		{"ann@example.org", ""},
		{"ann:hunter2@example.org", ""},
		{"Tr0ub4dor&3.example", ""},
		{"bücher.example", ""},
		{"smtp.example.org:smtp", ""},
		{"", ""},
	} {
		want := errServer.Error()
		if row.want != "" {
			want += `; try "` + row.want + `"`
		}
		if err := new(Server).UnmarshalText([]byte(row.text)); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", row.text, err, want)
		}
	}
}

func FuzzServer(f *testing.F) {
	for _, seed := range []string{"smtps://h", "smtp://[::1%eth0]:25", "smtp+plain://bücher.example:1", "smtps://a..b", "smtps://[", "unix:/x", "unix:///\t", "pipe:a 'b c'", "pipe:\"", "smtps://_a._b.c", "lmtp:h", "smtps://ａ.example", "smtp://.\xb2", "smtp://ａ。"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again Server
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		hasPort := s.Port > 0 || strings.HasPrefix(s.Host, "_")
		if (s.Host == "") != (s.Path+s.Command != "") || (s.Host != "") != hasPort || strings.ContainsAny(s.Address(), " /@\r\n\x00") {
			t.Errorf("%q is read as %+v", text, s)
		}
		if s.Name() == "" || s.Identity() == "" || strings.ContainsAny(s.Path, "\r\n\x00") {
			t.Errorf("%q is %q and %q", text, s.Name(), s.Identity())
		}
		if !strings.HasPrefix(strings.ToLower(text), s.Scheme+":") {
			t.Errorf("%q goes by %s", text, s.Scheme)
		}
		url := s.String()
		if s.Host == "" {
			url = s.Identity()
		}
		if err := again.UnmarshalText([]byte(url)); err != nil || again != s {
			t.Errorf("%q is read as %+v, which is read as %+v, %v", text, s, again, err)
		}
	})
}

func TestPattern(t *testing.T) {
	for _, row := range []struct {
		pattern string
		yes, no []string
	}{
		{"ann@example.org", []string{"ann@example.org", "ann@EXAMPLE.Org"}, []string{"Ann@example.org", "ann@example.org.x", "xann@example.org", "ann", ""}},
		{"ann@Example.ORG", []string{"ann@example.org"}, nil},
		{"*@lists.example.org", []string{"a@lists.example.org", `"a b"@Lists.example.org`}, []string{"a@example.org", "a@x.lists.example.org", "a"}},
		{"*@*.example.org", []string{"a@b.example.org", "a@c.b.example.org"}, []string{"a@example.org", "a@xexample.org"}},
		{"*@*", []string{"a@b"}, []string{"a", ""}},
		{"news-*@x.example", []string{"news-a@x.example", "news-@x.example"}, []string{"news@x.example", "anews-a@x.example"}},
		{"a*b*c@x.example", []string{"abc@x.example", "a1b2c@x.example", "abbcbc@x.example"}, []string{"ab@x.example", "acb@x.example", "abcd@x.example"}},
		{"a*a@x.example", []string{"aa@x.example"}, []string{"a@x.example"}},
		{"a@mail*.example", []string{"a@mail1.example"}, []string{"a@1mail.example"}},
	} {
		var p Pattern
		if err := p.UnmarshalText([]byte(row.pattern)); err != nil {
			t.Errorf("%s: %v", row.pattern, err)
			continue
		}
		for _, s := range row.yes {
			if !p.Matches(mustAddress(t, s)) {
				t.Errorf("%s does not match %s", row.pattern, s)
			}
		}
		for _, s := range row.no {
			if p.Matches(mustAddress(t, s)) {
				t.Errorf("%s matches %q", row.pattern, s)
			}
		}
	}
	for _, bad := range []string{"", "*", "ann", "@", "a@", "@b", "a b@c", "<a@b>", "Ann <a@b>", "a@b c", "a,b@c", "a@b\r\nc", "*@[1.2.3.*]", "a@b ", "a@b>"} {
		var p Pattern
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken as %v", bad, p)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"*@*.example.org", "ann@example.org", `"a b"@x`, "a*b*@*c*", "*", "0@00 ", "@r:a@b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p Pattern
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		if a, ok := p.Address(); ok && (!p.Matches(a) || a.Domain() == "") {
			t.Errorf("%q does not match itself, %s", text, a)
		}
	})
}

func TestSize(t *testing.T) {
	for _, row := range []struct {
		text string
		want Size
	}{{"0", 0}, {"1000", 1000}, {"2K", 2048}, {"25M", 25 << 20}, {"1G", 1 << 30}, {"8388608T", -1}, {"8589934592G", -1},
		{"-1", -1}, {"1.5M", -1}, {"M", -1}, {"", -1}, {"1m", -1}, {"+1", -1}} {
		got := Size(-1)
		if err := got.UnmarshalText([]byte(row.text)); (err != nil) != (row.want < 0) || got != row.want {
			t.Errorf("%q: %d, %v", row.text, got, err)
		}
	}
}

func TestRate(t *testing.T) {
	for _, row := range []struct {
		text string
		want Rate
	}{
		{"30/1m", Rate{30, time.Minute}},
		{"30/m", Rate{30, time.Minute}},
		{"500/1d", Rate{500, 24 * time.Hour}},
		{"1/90s", Rate{1, 90 * time.Second}},
		{"", Rate{}}, {"30", Rate{}}, {"30/", Rate{}}, {"0/1m", Rate{}}, {"-1/1m", Rate{}}, {"30/1ms", Rate{}}, {"30/1m/1", Rate{}}, {"x/1m", Rate{}}, {"30/-1m", Rate{}},
	} {
		var r Rate
		err := r.UnmarshalText([]byte(row.text))
		if r != row.want || (err == nil) != (row.want != Rate{}) {
			t.Errorf("%q: %v, %v", row.text, r, err)
		}
	}
}

func TestRateString(t *testing.T) {
	for text, want := range map[string]string{"30/m": "30/1m", "500/1d": "500/24h", "1/90s": "1/1m30s", "2/90m": "2/1h30m", "3/10s": "3/10s"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, r, err, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	const (
		base = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
		hex  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	)
	sum := Fingerprint(sha256.Sum256(nil))
	for _, row := range []struct {
		text string
		ok   bool
	}{
		{hex, true},
		{strings.ToUpper(hex), true},
		{"E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55", true},
		{"sha256:" + hex, true},
		{base, true},
		{"SHA256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", true},
		{"", false},
		{"sha256//", false},
		{"sha256:", false},
		{hex[2:], false},
		{hex + "00", false},
		{"sha1:" + hex, false},
		{"sha256//" + hex, false},
		{"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", false},
		{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", false},
		{"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", false},
	} {
		var f Fingerprint
		err := f.UnmarshalText([]byte(row.text))
		if (err == nil) != row.ok || row.ok && f != sum {
			t.Errorf("%q: %x, %v", row.text, f, err)
		}
	}
}

// TestFingerprintList: during a change of certificates, the list has the old and the new
// one.
func TestFingerprintList(t *testing.T) {
	a, b := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	c, err := parse(account("tls-fingerprint = [\"" + a + "\", \"" + b + "\"]"))
	if err != nil {
		t.Fatal(err)
	}
	if f := c.Accounts[0].TLSFingerprint; len(f) != 2 || f[0][0] != 0xa1 || f[1][31] != 0xb2 {
		t.Errorf("read as %v", f)
	}
}
