package rewrite

import (
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/envelope"
)

func TestHelloName(t *testing.T) {
	tests := []struct {
		hostname, fqdn, sender, own, want string
	}{
		{"set.example.org", "mx.example.com", "a@example.net", "", "set.example.org"},
		{"", "mx.example.com", "a@example.net", "", "mx.example.com"},
		{"", "vm.lan", "a@example.net", "ann@example.org", "example.net"},
		{"", "vm.lan", "", "ann@example.org", "example.org"},
		{"", "vm.localdomain", "", "", "vm"},
		{"", "", "a@ü.example", "", "vm"},
		{"", "", "a@[192.0.2.1]", "", "vm"},
		{"[192.0.2.7]", "mx.example.com", "a@example.net", "", "[192.0.2.7]"},
		{"[IPv6:2001:db8::7]", "mx.example.com", "a@example.net", "", "[IPv6:2001:db8::7]"},
		{"my_host.example.org", "web.my_project_default", "a@my_place.example", "", "vm"},
		{"", "web.my_project_default", "", "ann@example.org", "example.org"},
		{"", "-x.example.org", "a@x-.example", "", "vm"},
		{"", "192.0.2.7", "a@x.1", "", "vm"},
		{"", strings.Repeat("a", 64) + ".example.org", "a@" + strings.Repeat("a.", 130) + "org", "", "vm"},
	}
	for _, tt := range tests {
		sender, err := envelope.Parse(tt.sender)
		if err != nil {
			t.Fatal(err)
		}
		u := New(&config.Config{Hostname: tt.hostname}, config.Identity{Hostname: "vm", FQDN: tt.fqdn}, &config.Account{User: tt.own})
		if got := u.HelloName(sender); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
