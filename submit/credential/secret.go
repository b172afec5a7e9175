package credential

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxSecret is the length of the longest secret that is accepted, in octets. Passwords are
// short, and OAuth2 tokens have a few thousand octets.
const maxSecret = 64 << 10

var errEmpty = errors.New("the password is empty")

// A Secret is a password or token that cannot be printed by accident: not with any verb of
// fmt, not in JSON, and not in a log. It holds a pointer because fmt calls no methods for
// an unexported field of another type.
type Secret struct {
	s    *string
	from Ref // where the secret is from; zero: unknown
}

const hidden = "[secret]"

// NewSecret returns s as a Secret. It removes line breaks at the end, and a byte order mark
// at the beginning, which some editors write.
func NewSecret(s string) (Secret, error) {
	s = strings.TrimPrefix(strings.TrimRight(s, "\r\n"), "\ufeff")
	switch {
	case s == "":
		return Secret{}, errEmpty
	case len(s) > maxSecret:
		return Secret{}, unusable{fmt.Errorf("the password is longer than %d KiB", maxSecret>>10)}
	case strings.ContainsAny(s, "\x00\r\n"):
		return Secret{}, unusable{errors.New("the password contains NUL or a line break")}
	}
	return Secret{s: &s}, nil
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.s == nil {
		return ""
	}
	return *s.s
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.s == nil }

// IsToken reports whether the secret is an access token of the source oauth2.
func (s Secret) IsToken() bool { return s.from.IsOAuth2() }

// Source returns the reference that the secret was read from; zero if no Store has read it.
func (s Secret) Source() Ref { return s.from }

// Format writes a fixed word. fmt calls it for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText returns a fixed word. encoding/json and log/slog call it.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// firstLine returns the text before the first line break.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}
