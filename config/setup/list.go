package setup

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// listWidth is the maximum width of List's lines, in columns.
const listWidth = 100

// List writes a table of the accounts: name (and whether it is the default account),
// server, user, own address, and the kind of the secret's source. It reads no secret, and
// shows no path, name or word of a source.
func List(w io.Writer, accounts []*config.Account, standard string) error {
	rows := [][]string{{"ACCOUNT", "SERVER", "USER", "FROM", "SECRET"}}
	for _, a := range accounts {
		name, user, from, kind := a.Name, "-", "-", "-"
		if name == standard {
			name += " (default)"
		}
		if a.User != "" {
			user, kind = a.User, kindOf(a.Sources()[0])
		}
		if own, ok := a.Address(); ok {
			from = own.String()
		}
		rows = append(rows, []string{name, a.Servers[0].Name(), user, from, kind})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = status.Printable(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i])+2)
		}
	}
	for total := sum(widths); total > listWidth; total-- {
		widths[slices.Index(widths, slices.Max(widths))]--
	}
	for _, row := range rows {
		line := ""
		for i, width := range widths {
			if most := width - 2; utf8.RuneCountInString(row[i]) > most {
				row[i] = string([]rune(row[i])[:most-3]) + "..."
			}
			line += fmt.Sprintf("%-*s", width, row[i])
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

func sum(all []int) (total int) {
	for _, n := range all {
		total += n
	}
	return total
}

// kindOf returns the kind of a source, as in the configuration.
func kindOf(ref secret.Ref) string {
	kind, _, _ := strings.Cut(ref.Text(), ":")
	return kind
}
