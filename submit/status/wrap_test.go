package status

import (
	"strings"
	"testing"
)

// TestWrapped writes long lines as a terminal shows them, piece by piece.
func TestWrapped(t *testing.T) {
	const command = "sudo sendoff --login work --for cron"
	const wide = "sudo sendoff --config /a/very/long/path/of/a/configuration/that/somebody/has/chosen/config.toml --login work --for cron"
	long := strings.Repeat("word ", 19) + "end"
	for _, tt := range []struct{ name, text, want string }{
		{"short", "fail  cron      no\n", "fail  cron      no\n"},
		{"100 columns", strings.Repeat("x", 50) + " " + strings.Repeat("é", 49) + "\n", strings.Repeat("x", 50) + " " + strings.Repeat("é", 49) + "\n"},
		{"101 columns", strings.Repeat("x", 50) + " " + strings.Repeat("é", 50) + "\n", strings.Repeat("x", 50) + "\n    " + strings.Repeat("é", 50) + "\n"},
		{"columns", "fail  cron      " + long + "\n", "fail  cron      " + strings.Repeat("word ", 16) + "word\n" + strings.Repeat(" ", 16) + "word word end\n"},
		{"a long word", "    " + strings.Repeat("x", 120) + " y\n", "    " + strings.Repeat("x", 120) + "\n    y\n"},
		{"a hint with a command", "    hint: " + long + ": " + command + "\n",
			"    hint: " + strings.Repeat("word ", 17) + "word\n    word end:\n    " + command + "\n"},
		{"a hint without one", "    hint: " + long + "\n", "    hint: " + strings.Repeat("word ", 17) + "word\n    word end\n"},
		{"a command over the width", "    hint: do: " + wide + "\n", "    hint: do:\n    " + wide + "\n"},
		{"a command with a colon", "    " + long + ": sudo x 'a: " + long + "'\n", "    " + strings.Repeat("word ", 18) + "word\n    end:\n    sudo x 'a: " + long + "'\n"},
		{"a hint about commands", "hint: sendoff --queue-retry " + long + "\n", "hint: sendoff --queue-retry " + strings.Repeat("word ", 13) + "word\n    " + strings.Repeat("word ", 5) + "end\n"},
		{"the name of the program", "sendoff is no command: " + long + "\n", "sendoff is no command: " + strings.Repeat("word ", 14) + "word\n    " + strings.Repeat("word ", 4) + "end\n"},
		{"no end", "fail", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			w := Wrapped(&b, MaxColumns)
			for _, c := range []byte(tt.text) {
				w.Write([]byte{c})
			}
			if b.String() != tt.want {
				t.Errorf("got\n%swant\n%s", b.String(), tt.want)
			}
		})
	}
}
