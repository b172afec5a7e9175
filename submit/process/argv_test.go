package process

import (
	"slices"
	"strings"
	"testing"
)

func TestArgv(t *testing.T) {
	tests := []struct {
		in   string
		want []string // nil for an error
	}{
		{`pass show mail`, []string{"pass", "show", "mail"}},
		{"  a\t b \n", []string{"a", "b"}},
		{`a 'b c' "d e" f\ g`, []string{"a", "b c", "d e", "f g"}},
		{`a'b'"c"d`, []string{"abcd"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`'$x|;' "a|b" \$`, []string{"$x|;", "a|b", "$"}},
		{`"\"\\\$\` + "`" + `\n"`, []string{`"\$` + "`" + `\n`}},
		{`'it'\''s'`, []string{"it's"}},
		{`~/bin/x ~/y a~/z '~/w' ~ ~bob/`, []string{"/h/bin/x", "/h/y", "a~/z", "~/w", "~", "~bob/"}},
		{`x*? [a] #b {c} a=b !`, []string{"x*?", "[a]", "#b", "{c}", "a=b", "!"}},
		{``, nil},
		{`"" a`, nil},
		{`a | b`, nil},
		{`a; b`, nil},
		{`a && b`, nil},
		{`a > b`, nil},
		{`a $HOME`, nil},
		{`a "$HOME"`, nil},
		{"a `b`", nil},
		{"a \"`b`\"", nil},
		{`a 'b`, nil},
		{`a "b`, nil},
		{`a "b\`, nil},
		{`a \`, nil},
		{"a \x00", nil},
		{"a '\x00'", nil},
		{"a \"\x00\"", nil},
		{"a \\\x00", nil},
	}
	for _, tt := range tests {
		got, err := Argv(tt.in, "/h")
		if (err == nil) != (tt.want != nil) || err == nil && !slices.Equal(got, tt.want) {
			t.Errorf("Argv(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

// FuzzWords splits a text, quotes the words, and splits again: the words are the same.
func FuzzWords(f *testing.F) {
	for _, s := range []string{`a 'b c' "d\"e" f\ g`, `~/x ''`, `a|b`, `"\`, "\x00", `'a'\''b'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, err := words(s, "/h")
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range first {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := words(strings.Join(quoted, " "), "/other")
		if err != nil || !slices.Equal(first, again) {
			t.Fatalf("%q: %q, then %q, %v", s, first, again, err)
		}
	})
}
