package status

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
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
	"is from oauth2:", "is from systemd:", "the user is from --user", "the user is from sendoff_user",
	"connect to the proxy", ":25 at ", ":25:", ":25)", ":465)", ":587)", "while waiting for the greeting",
}

// TestHintWords holds that no row of hints waits for an error that nobody makes any
// more: its words, up to a colon, stand in a literal of the code.
func TestHintWords(t *testing.T) {
	var literals []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(filepath.Base(path), "hint") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if b, ok := n.(*ast.BasicLit); ok && b.Kind == token.STRING {
				text, _ := strconv.Unquote(b.Value)
				literals = append(literals, strings.ToLower(text))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range hints {
		if row.words != strings.ToLower(row.words) {
			t.Errorf("%q: not in lower case", row.words)
		}
		for _, words := range strings.FieldsFunc(row.words, func(r rune) bool { return r == '|' || r == '/' }) {
			for part := range strings.SplitSeq(strings.TrimSuffix(words, ": "), ": ") {
				isIn := func(literal string) bool { return strings.Contains(literal, part) }
				if !slices.Contains(othersWords, words) && !slices.Contains(othersWords, part) && !slices.ContainsFunc(literals, isIn) {
					t.Errorf("%v %q: %q stands in no literal", row.kind, row.words, part)
				}
			}
		}
	}
}
