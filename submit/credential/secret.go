package credential

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxSecret is the longest secret taken, in octets. Passwords are short and
// OAuth2 tokens a few kilobytes; whatever is longer is not a secret.
const maxSecret = 64 << 10

var errEmpty = errors.New("the secret is empty")

// A Secret is a password or token that does not print itself: not with fmt and
// any verb, not in JSON, not in a log, and not as an unexported field of
// something else, where fmt calls no methods; hence the pointer.
type Secret struct {
	s    *string
	from Ref // zero: nobody has said
}

const hidden = "[secret]"

// NewSecret returns s as a Secret. A line break at the end is dropped, and a byte order
// mark at the beginning, which some editors put there.
func NewSecret(s string) (Secret, error) {
	s = strings.TrimPrefix(strings.TrimRight(s, "\r\n"), "\ufeff")
	switch {
	case s == "":
		return Secret{}, errEmpty
	case len(s) > maxSecret:
		return Secret{}, unusable{fmt.Errorf("the secret is longer than %d KiB", maxSecret>>10)}
	case strings.ContainsAny(s, "\x00\r\n"):
		return Secret{}, unusable{errors.New("the secret contains NUL or a line break")}
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

// IsToken reports whether the secret is known to be an access token.
func (s Secret) IsToken() bool { return s.from.IsOAuth2() }

// Source returns where the secret is from; zero if no Store has fetched it.
func (s Secret) Source() Ref { return s.from }

// Format writes a fixed word, whatever the verb. fmt asks nothing else.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText returns a fixed word. encoding/json and log/slog use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// firstLine returns what stands before the first line feed of text.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}
