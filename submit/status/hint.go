package status

import "strings"

// hints is the table of remedies: for an error of a kind whose text holds all
// the words, in any case. The first row that fits counts. ACCOUNT stands for
// the account's name.
var hints = []struct {
	kind  Kind
	words string // separated by |
	hint  string
}{
	{Config, "no account configured", "write ~/.config/sendoff/config.toml as sendoff.toml(5) shows; sendoff --rehearse YOU@EXAMPLE.ORG works without"},
}

// Hint returns what a person can do about err; "" if nothing is known.
func Hint(err error) string {
	text := strings.ToLower(err.Error())
	kind := KindOf(err)
rows:
	for _, row := range hints {
		if row.kind != kind {
			continue
		}
		for word := range strings.SplitSeq(row.words, "|") {
			if !strings.Contains(text, word) {
				continue rows
			}
		}
		return row.hint
	}
	return ""
}
