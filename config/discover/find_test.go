package discover

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// TestProviders holds the table to what its columns promise.
func TestProviders(t *testing.T) {
	known := make(map[string]string)
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
		if p.server == "" {
			continue
		}
		var s config.Server
		if err := s.UnmarshalText([]byte(p.server)); err != nil || s.Way().TLS == config.NoTLS {
			t.Errorf("%s: %s: %v", p.name, p.server, err)
		}
		word, _, _ := strings.Cut(strings.ToLower(p.name), " ")
		if strings.Contains(p.server, regionPart) {
			word += ":eu-west-1"
		}
		if got, err := ParseServer(word); err != nil || strings.Contains(got.Host, "region") {
			t.Errorf("%s: by its name: %s, %v", p.name, got, err)
		} else if row := providerAt(got); row == nil || row.server != p.server {
			t.Errorf("%s: its server is not found again: %+v", p.name, row)
		}
	}
}

func TestParseServer(t *testing.T) {
	tests := []struct{ text, want string }{
		{"smtp://smtp.example.org", "smtp://smtp.example.org:587"},
		{"sendgrid", "smtps://smtp.sendgrid.net:465"},
		{"SES:eu-central-1", "smtps://email-smtp.eu-central-1.amazonaws.com:465"},
		{"ses:", ""},
		{"ses", ""},
		{"ses:a/b", ""},
		{"google", "smtps://smtp.gmail.com:465"},
		{"nobody", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, err := ParseServer(tt.text)
		if err == nil && got.String() != tt.want || err != nil && tt.want != "" {
			t.Errorf("%q: got %s, %v; want %s", tt.text, got, err, tt.want)
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

// The first usual name in order counts, whatever answers first; and where there
// is none, one whose certificate is wrong is named.
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
