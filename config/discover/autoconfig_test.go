package discover

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// ann returns the address that the tests look up.
func ann(t testing.TB) Address {
	a, err := envelope.Parse("Ann.Lee@Bücher.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewAddress(a)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// outgoingServer returns an element outgoingServer of an autoconfig document.
func outgoingServer(host, port, socket, user string, authentication ...string) string {
	s := `<outgoingServer type="smtp"><hostname>` + host + `</hostname><port>` + port + `</port><socketType>` + socket + `</socketType><username>` + user + `</username>`
	for _, a := range authentication {
		s += `<authentication>` + a + `</authentication>`
	}
	return s + `</outgoingServer>`
}

func TestParseAutoconfig(t *testing.T) {
	const clear = "password-cleartext"
	w := ann(t)
	tests := []struct{ name, servers, server, user string }{
		{"TLS", outgoingServer("smtp.example.net", "465", "SSL", wholeAddress, clear), "smtps://smtp.example.net:465", "Ann.Lee@Bücher.example"},
		{"STARTTLS", outgoingServer("smtp.example.net", "587", "STARTTLS", localPart, clear), "smtp://smtp.example.net:587", "Ann.Lee"},
		{"TLS goes first", outgoingServer("a.example", "587", "STARTTLS", "a", clear) + outgoingServer("b.example", "465", "SSL", "b", clear) + outgoingServer("c.example", "465", "SSL", "c", clear), "smtps://b.example:465", "b"},
		{"the first of its kind", outgoingServer("a.example", "587", "STARTTLS", "a", clear) + outgoingServer("b.example", "587", "STARTTLS", "b", clear), "smtp://a.example:587", "a"},
		{"the domain in a host", outgoingServer("mail."+domainPart, "465", "ssl", "x", clear), "smtps://mail.xn--bcher-kva.example:465", "x"},
		{"spaces", outgoingServer("\n a.example ", " 465\n", " SSL ", " x ", clear), "smtps://a.example:465", "x"},
		{"clear is not used", outgoingServer("a.example", "25", "plain", "x", clear), "", ""},
		{"of another type", strings.Replace(outgoingServer("a.example", "465", "SSL", "x"), "smtp", "nntp", 1), "", ""},
		{"no host", outgoingServer("", "465", "SSL", "x"), "", ""},
		{"a path", outgoingServer("a.example/x", "465", "SSL", "x"), "", ""},
		{"a user in the host", outgoingServer("x@a.example", "465", "SSL", "x"), "", ""},
		{"SRV records", outgoingServer("_submission._tcp.example.org", "465", "SSL", "x"), "", ""},
		{"no port", outgoingServer("a.example", "", "SSL", "x"), "", ""},
		{"too high a port", outgoingServer("a.example", "65536", "SSL", "x"), "", ""},
		{"port 0", outgoingServer("a.example", "0", "SSL", "x"), "", ""},
		{"a line break in the user", outgoingServer("a.example", "465", "SSL", "x\ny"), "", ""},
		{"a direction in the user", outgoingServer("a.example", "465", "SSL", "x\u202ey"), "", ""},
		{"a command in the user", outgoingServer("a.example", "465", "SSL", "x;y"), "", ""},
		{"none", "", "", ""},
	}
	for _, tt := range tests {
		document := `<clientConfig version="1.1"><emailProvider id="x"><domain>example</domain>` + tt.servers + `</emailProvider></clientConfig>`
		f, err := parseAutoconfig(strings.NewReader(document), w)
		switch {
		case err != nil && tt.server != "":
			t.Errorf("%s: %v", tt.name, err)
		case err == nil && (f.Server.String() != tt.server || w.fill(f.User) != tt.user):
			t.Errorf("%s: got %s, user %q", tt.name, f.Server, w.fill(f.User))
		}
	}
}

// TestParseAutoconfigCharset: a document may have any charset that contains ASCII.
func TestParseAutoconfigCharset(t *testing.T) {
	for _, charset := range []string{"UTF-8", "ISO-8859-1", "windows-1252", "us-ascii", "iso-8859-15"} {
		document := `<?xml version="1.0" encoding="` + charset + `"?><clientConfig><emailProvider><displayName>M` + "\xfc" + `ller</displayName>` +
			outgoingServer("a.example", "465", "SSL", wholeAddress) + `</emailProvider></clientConfig>`
		if charset == "UTF-8" {
			document = strings.ToValidUTF8(document, "ü")
		}
		f, err := parseAutoconfig(strings.NewReader(document), ann(t))
		if err != nil || f.Server.String() != "smtps://a.example:465" || f.User != wholeAddress {
			t.Errorf("%s: %+v, %v", charset, f, err)
		}
	}
}

// TestParseAutoconfigWide: a document in UTF-16 may have a byte order mark, and may name its
// charset.
func TestParseAutoconfigWide(t *testing.T) {
	document := `<clientConfig><emailProvider><displayName>Müller 📧</displayName>` + outgoingServer("a.example", "465", "SSL", wholeAddress) + `</emailProvider></clientConfig>`
	for _, head := range []string{"", `<?xml version="1.0"?>`, `<?xml version="1.0" encoding="UTF-16"?>`, `<?xml version="1.0" encoding="utf-16le"?>`} {
		for _, mark := range []string{"", "\ufeff"} {
			for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
				var text []byte
				for _, unit := range utf16.Encode([]rune(mark + head + document)) {
					text = o.AppendUint16(text, unit)
				}
				f, err := parseAutoconfig(bytes.NewReader(text), ann(t))
				if err != nil || f.Server.String() != "smtps://a.example:465" || f.User != wholeAddress {
					t.Errorf("%q%s, %v: %+v, %v", mark, head, o, f, err)
				}
			}
		}
	}
	for _, text := range []string{"", "<", "<\x00", "\xff\xfe", "\xfe\xff\x00", "\xff\xfe\x00\xd8"} {
		if f, err := parseAutoconfig(strings.NewReader(text), ann(t)); err == nil {
			t.Errorf("%q: %+v", text, f)
		}
	}
}

func TestParseAutoconfigLogin(t *testing.T) {
	tests := []struct {
		authentication []string
		want           Login
	}{
		{nil, Password},
		{[]string{"password-cleartext"}, Password},
		{[]string{"OAuth2"}, OAuth2},
		{[]string{"OAuth2", "password-cleartext"}, Password},
		{[]string{"password-encrypted", "OAuth2"}, Password},
	}
	for _, tt := range tests {
		document := `<clientConfig><emailProvider>` + outgoingServer("a.example", "465", "SSL", "x", tt.authentication...) + `</emailProvider></clientConfig>`
		f, err := parseAutoconfig(strings.NewReader(document), ann(t))
		if err != nil || f.Login != tt.want {
			t.Errorf("%q: got %+v, %v", tt.authentication, f, err)
		}
	}
}

// TestParseAutoconfigTooLarge: a document is read only up to the limit, so that its size
// does not matter to memory.
func TestParseAutoconfigTooLarge(t *testing.T) {
	r := strings.NewReader(`<clientConfig><emailProvider>` + strings.Repeat("<x/>", maxDocument))
	all := r.Len()
	if _, err := parseAutoconfig(r, ann(t)); err == nil {
		t.Error("no error")
	}
	if read := all - r.Len(); read > maxDocument {
		t.Errorf("%d octets read", read)
	}
}

// TestLeads: a redirect must stay within the domain, and sends no Referer.
func TestLeads(t *testing.T) {
	for to, want := range map[string]string{
		"https://example.org/x": "", "https://Autoconfig.Example.org/x": "", "https://example.org:8443/x": "",
		"http://example.org/x": "without HTTPS", "https://example.net/": "outside example.org", "https://example.org.evil.example/": "outside",
		"https://badexample.org/": "outside", "https://example.org@evil.example/": "outside",
	} {
		next, err := http.NewRequest(http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		next.Header.Set("Referer", "https://autoconfig.example.org/?emailaddress=ann%40example.org")
		err = redirects("example.org")(next, []*http.Request{next})
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) || next.Referer() != "" {
			t.Errorf("%s: %v, want %q; from %s", to, err, want, next.Referer())
		}
	}
}

func FuzzParseAutoconfig(f *testing.F) {
	f.Add(`<clientConfig><emailProvider>` + outgoingServer("a.example", "465", "SSL", wholeAddress, "OAuth2") + `</emailProvider></clientConfig>`)
	f.Add(`<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE x [<!ENTITY y "z">]><clientConfig>&y;</clientConfig>`)
	f.Add("<clientConfig")
	f.Add("\xff\xfe<\x00c\x00")
	w := ann(f)
	f.Fuzz(func(t *testing.T, document string) {
		found, err := parseAutoconfig(strings.NewReader(document), w)
		if err != nil {
			return
		}
		var again config.Server
		if err := again.UnmarshalText([]byte(found.Server.String())); err != nil || again != found.Server || again.Port == 0 {
			t.Errorf("%q gives the server %s: %v", document, found.Server, err)
		}
		if again.Way().TLS == config.NoTLS || status.Printable(w.fill(found.User)) != w.fill(found.User) {
			t.Errorf("%q gives %+v", document, found)
		}
	})
}
