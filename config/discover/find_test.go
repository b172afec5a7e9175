package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// TestProviders checks the columns of the table.
func TestProviders(t *testing.T) {
	known, keys := make(map[string]string), make(map[string]string)
	for _, p := range providers {
		for _, domain := range slices.Concat(strings.Fields(p.domains), strings.Fields(p.mx)) {
			if domain != strings.ToLower(domain) || !strings.Contains(domain, ".") {
				t.Errorf("%s: %q is no domain", p.name, domain)
			}
		}
		for domain := range strings.FieldsSeq(p.domains) {
			if other := known[domain]; other != "" {
				t.Errorf("%s has %s, and so has %s", p.name, domain, other)
			}
			known[domain] = p.name
		}
		brand, _, _ := strings.Cut(p.name, " ")
		if brand = strings.TrimSuffix(brand, ".eu"); p.remark != "" && !strings.Contains(p.remark, brand) {
			t.Errorf("%s: %q does not name it", p.name, p.remark)
		}
		if p.server == "" {
			continue
		}
		var s config.Server
		if err := s.UnmarshalText([]byte(p.server)); err != nil || s.Way().TLS == config.NoTLS {
			t.Errorf("%s: %s: %v", p.name, p.server, err)
		}
		word := p.key()
		if other := keys[word]; other != "" {
			t.Errorf("%s is called %s, and so is %s", p.name, word, other)
		}
		keys[word] = p.name
		if strings.Contains(p.server, regionPart) {
			word += ":eu-west-1"
		}
		if got, err := new(Finder).Named(t.Context(), word); err != nil || strings.Contains(got.Server.Host, "region") {
			t.Errorf("%s: by its key: %+v, %v", p.name, got, err)
		} else if row := providerAt(got.Server); row == nil || row.server != p.server {
			t.Errorf("%s: its server is not found again: %+v", p.name, row)
		}
	}
}

// TestNamed: a person may name a server by a URL, the key of a provider, or a host name.
// With a host name, the ways to speak TLS are tried.
func TestNamed(t *testing.T) {
	tests := []struct{ text, answers, want, err string }{
		{"smtp://smtp.example.org", "", "smtp://smtp.example.org:587", ""},
		{"sendgrid", "", "smtps://smtp.sendgrid.net:465", ""},
		{"SES:eu-central-1", "", "smtps://email-smtp.eu-central-1.amazonaws.com:465", ""},
		{"ses:", "", "", "SES of Amazon requires a region: write ses:REGION, such as ses:eu-west-1"},
		{"ses", "", "", "SES of Amazon requires a region: write ses:REGION, such as ses:eu-west-1"},
		{"gmail:eu-west-1", "", "", "not a server"},
		{"laposte", "", "smtps://smtp.laposte.net:465", ""},
		{"la", "", "", "not a server"},
		{"tuta", "", "", "Tuta has no SMTP, so other programs cannot send with it"},
		{"ses:a/b", "", "", "host"},
		{"google", "", "smtps://smtp.gmail.com:465", ""},
		{"gmail", "", "smtps://smtp.gmail.com:465", ""},
		{"Outlook", "", "smtp://smtp-mail.outlook.com:587", ""},
		{"office365", "", "smtp://smtp.office365.com:587", ""},
		{"nobody", "", "", "not a server"},
		{"", "", "", "not a server"},
		{"s3kr1t pass.word", "", "", "not a server"},
		{"mail.example.org", "smtps://mail.example.org:465 smtp://mail.example.org:587", "smtps://mail.example.org:465", ""},
		{"mail.example.org", "smtp://mail.example.org:587", "smtp://mail.example.org:587", ""},
		{"mail.example.org:587", "smtp://mail.example.org:587", "smtp://mail.example.org:587", ""},
		{"mail.example.org:465", "smtps://mail.example.org:465 smtp://mail.example.org:465", "smtps://mail.example.org:465", ""},
		{"mail.example.org:2525", "smtp://mail.example.org:2525", "smtp://mail.example.org:2525", ""},
		{"127.0.0.1:2525", "smtps://127.0.0.1:2525", "smtps://127.0.0.1:2525", ""},
		{"mail.example.org", "", "smtps://mail.example.org:465", "no mail server answers there: no such host"},
	}
	for _, tt := range tests {
		f := &Finder{Try: func(_ context.Context, s config.Server) error {
			if slices.Contains(strings.Fields(tt.answers), s.String()) {
				return nil
			}
			return errors.New("no such host")
		}}
		got, err := f.Named(t.Context(), tt.text)
		server := ""
		if got != nil && got.Server.Host != "" {
			server = got.Server.String()
		}
		if server != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %s, %v; want %s", tt.text, server, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3kr1t") {
			t.Errorf("%q: quoted: %v", tt.text, err)
		}
	}
}

// TestProviderTable: the table of providers fits into a terminal, and each key occurs once.
func TestProviderTable(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(Table(), "\n"), "\n")
	if len(lines) != len(Providers()) {
		t.Errorf("%d lines for %d providers", len(lines), len(Providers()))
	}
	for _, line := range lines {
		if len(line) > 100 || len(strings.Fields(line)) < 4 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// TestRecorded: people write port 465 under the name of STARTTLS, and port 587 under the
// other name.
func TestRecorded(t *testing.T) {
	f := &Finder{Address: Address{ASCII: "example.org"}}
	for _, tt := range []struct {
		scheme, target string
		port           uint16
		want           string
	}{
		{"smtps", "mail.example.org.", 465, "smtps://mail.example.org:465"},
		{"smtp", "mail.example.org.", 587, "smtp://mail.example.org:587"},
		{"smtp", "mail.example.org.", 465, "smtps://mail.example.org:465 smtp://mail.example.org:465"},
		{"smtps", "mail.example.org.", 587, "smtp://mail.example.org:587 smtps://mail.example.org:587"},
		{"smtps", "mail.example.org.", 25, "smtp://mail.example.org:25 smtps://mail.example.org:25"},
		{"smtps", "mail.example.org.", 2465, "smtps://mail.example.org:2465"},
		{"smtps", ".", 0, ""},
		{"smtps", "mail.example.org.", 0, ""},
		{"smtp", "Mail.Example.NET.", 587, "smtp://mail.example.net:587?"},
	} {
		var got []string
		for _, found := range f.recorded(tt.scheme, &net.SRV{Target: tt.target, Port: tt.port}) {
			text := found.Server.String()
			if found.Unproven != "" {
				text += "?"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, %s, %d: got %s, want %s", tt.scheme, tt.target, tt.port, got, tt.want)
		}
	}
}

// TestLookedUp: a name that does not exist has no records; every other failure is an error.
func TestLookedUp(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, ""},
		{&net.DNSError{Err: "i/o timeout", Server: "192.0.2.1:53", IsTimeout: true}, "look up x: the name server 192.0.2.1 does not answer"},
		{&net.DNSError{Err: "dial udp 192.0.2.1:53: connect: network is unreachable", Server: "192.0.2.1:53"}, "look up x: the name server 192.0.2.1 cannot be reached: network is unreachable"},
		{&net.DNSError{Err: "server misbehaving", Server: "192.0.2.1:53", IsTemporary: true}, "look up x: the name server 192.0.2.1 fails, or gives an answer that cannot be understood"},
	} {
		err := lookedUp("x", tt.err)
		if got := fmt.Sprint(err); err != nil && got != tt.want || err == nil && tt.want != "" {
			t.Errorf("%v: got %v, want %s", tt.err, err, tt.want)
		}
	}
}

func TestProviderAt(t *testing.T) {
	tests := []struct{ server, want string }{
		{"smtp://smtp.gmail.com:587", "Google (Gmail, Workspace)"},
		{"smtps://email-smtp.us-east-1.amazonaws.com", "SES of Amazon"},
		{"smtp://127.0.0.1:1025", "Proton"},
		{"smtp://127.0.0.1:2525", ""},
		{"smtps://smtp.example.org", ""},
	}
	for _, tt := range tests {
		var s config.Server
		if err := s.UnmarshalText([]byte(tt.server)); err != nil {
			t.Fatal(err)
		}
		got := ""
		if p := providerAt(s); p != nil {
			got = p.name
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.server, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	tests := []struct{ address, server, user string }{
		{"ann@gmail.com", "smtps://smtp.gmail.com:465", "ann@gmail.com"},
		{"ann@GMX.de", "smtps://mail.gmx.net:465", "ann@GMX.de"},
		{"ann@riseup.net", "smtps://mail.riseup.net:465", "ann"},
		{"ann@firm.onmicrosoft.com", "smtp://smtp.office365.com:587", "ann@firm.onmicrosoft.com"},
		{"ann@notgmail.com", "", ""},
		{"ann@gmail.com.example", "", ""},
	}
	for _, tt := range tests {
		a, err := envelope.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewAddress(a)
		if err != nil {
			t.Fatal(err)
		}
		found, err := (&Finder{Address: w}).table(context.Background())
		switch {
		case err != nil && tt.server != "":
			t.Errorf("%s: %v", tt.address, err)
		case err == nil && (found.Server.String() != tt.server || w.fill(found.User) != tt.user):
			t.Errorf("%s: got %s, user %q", tt.address, found.Server, w.fill(found.User))
		}
	}
}

// TestProbe: the first usual name in order counts, whichever answers first. If none works,
// the error is about a server with a wrong certificate.
func TestProbe(t *testing.T) {
	wrong := status.Insecure.Errorf("TLS: wrong")
	tests := []struct{ good, insecure, want string }{
		{"smtps://mail.example.org:465 smtp://smtp.example.org:587", "", "smtps://mail.example.org:465"},
		{"smtp://example.org:587", "smtps://smtp.example.org:465", "smtp://example.org:587"},
		{"", "smtps://mail.example.org:465 smtp://mail.example.org:587", "smtps://mail.example.org:465: TLS: wrong"},
		{"", "", "nothing"},
	}
	for _, tt := range tests {
		f := &Finder{Address: Address{ASCII: "example.org"}, Try: func(_ context.Context, s config.Server) error {
			switch {
			case slices.Contains(strings.Fields(tt.good), s.String()):
				return nil
			case slices.Contains(strings.Fields(tt.insecure), s.String()):
				return wrong
			}
			return errors.New("no such host")
		}}
		got := ""
		found, err := f.probe(t.Context())
		if err != nil {
			got = err.Error()
		} else {
			got = found.Server.String()
		}
		if got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
