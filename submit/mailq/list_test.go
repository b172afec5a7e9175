package mailq

import (
	"strings"
	"testing"
)

// TestHints holds that a hint in the list of another user's queue says who follows it, and
// that each hint stands once.
func TestHints(t *testing.T) {
	var out strings.Builder
	l := newLister(&out, HintsFor("mail"))
	for _, text := range []string{"store the password: sendoff --login work", "renew it: sudo sendoff --login work", "renew it: sudo sendoff --login work", ""} {
		l.hint(func() string { return text })
	}
	l.Flush()
	if got, want := out.String(), "    hint (do it as user mail): store the password: sendoff --login work\n    hint: renew it: sudo sendoff --login work\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
