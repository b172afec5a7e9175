package status

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/submittest/literals"
)

// othersWords are words of hints that stand in no literal: those that Go, the system
// or a server says, and those that are put together of a name and a literal.
var othersWords = []string{
	// Go and the system
	"permission denied", "no such file", "handshake failure", "insufficient security level",
	"unconfigured cipher suite", "unrecognized name", "signature algorithm",
	"no acceptable authentication methods", "authentication failed",
	// servers and providers
	"5.7.139", "5.7.30", "_scope", "invalid_grant", "_required", ".local",
	// put together
	"--queue-run does not send", ".toml", "the configuration has no [oauth2.", "in tls-ca is another", "in tls-ca", "in this system",
	"auth xoauth2", "auth oauthbearer", "auth scram-", "from command", "is from command",
	"is from oauth2:", "is from systemd:", "is from systemd:smtp", "systemd:smtp", "is from file:", "the user is from --user", "the user is from sendoff_user",
	"connect to the proxy", ":25 at ", ":25:", ":25)", ":465)", ":587)", "while waiting for the greeting",
}

// TestHintWords holds that no row of hints waits for an error that nobody makes any
// more: its words, up to a colon, stand in a literal of the code.
func TestHintWords(t *testing.T) {
	all, err := literals.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, l := range all {
		if !strings.HasPrefix(filepath.Base(l.At), "hint") {
			texts = append(texts, strings.ToLower(l.Text))
		}
	}
	for _, row := range hints {
		if row.words != strings.ToLower(row.words) {
			t.Errorf("%q: not in lower case", row.words)
		}
		for _, words := range strings.FieldsFunc(row.words, func(r rune) bool { return r == '|' || r == '/' }) {
			for part := range strings.SplitSeq(strings.TrimSuffix(words, ": "), ": ") {
				isIn := func(literal string) bool { return strings.Contains(literal, part) }
				if !slices.Contains(othersWords, words) && !slices.Contains(othersWords, part) && !slices.ContainsFunc(texts, isIn) {
					t.Errorf("%v %q: %q stands in no literal", row.kind, row.words, part)
				}
			}
		}
	}
}

// TestHintsInManual holds that each hint in a sample of the manual pages is one of the
// table, so that the pages show what the program prints.
func TestHintsInManual(t *testing.T) {
	names, err := filepath.Glob("../../man/*")
	if err != nil {
		t.Fatal(err)
	}
	sample := regexp.MustCompile(`hint: (.+(?:\n {16}[^h].*)*)`) // the doctor's go on below their text
	var given []string
	for _, row := range hints {
		given = append(given, strings.NewReplacer("ACCOUNT", "work", "://HOST", "://smtp.example.org").Replace(row.hint))
	}
	count := 0
	for _, name := range names {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range sample.FindAllStringSubmatch(strings.ReplaceAll(string(page), "\r\n", "\n"), -1) {
			count++
			text := strings.Join(strings.Fields(m[1]), " ")
			if !slices.Contains(given, text) {
				t.Errorf("%s shows the hint %q, which the program does not give", name, text)
			}
		}
	}
	if count < 5 {
		t.Errorf("%d hints in the manual pages", count)
	}
}
