package status

import (
	"fmt"
	"strconv"
	"strings"
)

// A Code is an enhanced mail system status code (RFC 3463): class, subject
// and detail. {4, 4, 1} is 4.4.1, no answer from host.
type Code struct{ Class, Subject, Detail uint16 }

// Temporary reports whether c says that another try may succeed.
func (c Code) Temporary() bool { return c.Class == 4 }

// String returns c in its dotted form.
//
//go:noinline
func (c Code) String() string {
	return fmt.Sprintf("%d.%d.%d", c.Class, c.Subject, c.Detail)
}

// ParseCode reads a code at the start of text and returns what follows it,
// without the space between. ok is false, and rest is text, unless the class is
// 2, 4 or 5 and subject and detail have one to three digits (RFC 2034
// section 4).
func ParseCode(text string) (c Code, rest string, ok bool) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return Code{}, text, false
	}
	var n [3]uint16
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 3 {
			return Code{}, text, false
		}
		n[i] = uint16(v)
	}
	if len(parts[0]) != 1 || (n[0] != 2 && n[0] != 4 && n[0] != 5) {
		return Code{}, text, false
	}
	return Code{n[0], n[1], n[2]}, strings.TrimLeft(rest, " "), true
}
