package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretDoesNotPrintItself(t *testing.T) {
	const password = "hunter2"
	secret, err := NewSecret(password)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Exported Secret
		hidden   Secret
		pointer  *Secret
	}
	h := holder{secret, secret, &secret}
	var out bytes.Buffer
	for _, v := range []any{secret, &secret, h, &h, []Secret{secret}, map[string]Secret{"k": secret}, fmt.Errorf("x: %v", secret)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		j, _ := json.Marshal(v)
		out.Write(j)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, bad := range []string{password, fmt.Sprintf("%x", password), fmt.Sprintf("%X", password)} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q found in:\n%s", bad, out.String())
		}
	}
	if !strings.Contains(out.String(), hidden) || secret.Reveal() != password {
		t.Errorf("Reveal is %q; printed:\n%s", secret.Reveal(), out.String())
	}
}

func TestNewSecret(t *testing.T) {
	long := strings.Repeat("x", maxSecret)
	tests := []struct {
		in, want string
		unusable bool // false and want "": the secret is absent
	}{
		{"pw", "pw", false},
		{"pw\n", "pw", false},
		{"pw\r\n", "pw", false},
		{" p w\t", " p w\t", false},
		{"pässword", "pässword", false},
		{long, long, false},
		{"", "", false},
		{"\r\n", "", false},
		{"a\nb", "", true},
		{"a\rb", "", true},
		{"a\x00b", "", true},
		{long + "x", "", true},
	}
	for _, tt := range tests {
		got, err := NewSecret(tt.in)
		if got.Reveal() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("NewSecret(%.20q) = %.20q, %v", tt.in, got.Reveal(), err)
		}
		if errors.As(err, new(unusable)) != tt.unusable {
			t.Errorf("NewSecret(%.20q): %v: unusable should be %v", tt.in, err, tt.unusable)
		}
	}
}
