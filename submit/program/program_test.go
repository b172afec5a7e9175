package program

import (
	"testing"

	"sendoff/config/cmdline"
)

// Each mode that a command line can ask for has a row.
func TestModes(t *testing.T) {
	rows := make(map[cmdline.Mode]int)
	for _, m := range modes {
		rows[m.mode]++
	}
	for mode := cmdline.Submit; mode <= cmdline.Complete; mode++ {
		if rows[mode] != 1 {
			t.Errorf("mode %d has %d rows", mode, rows[mode])
		}
	}
	if want := int(cmdline.Complete-cmdline.Submit) + 1; len(modes) != want {
		t.Errorf("%d rows, want %d", len(modes), want)
	}
}
