package program

import (
	"testing"

	"sendoff/config/cmdline"
)

// TestModes: every mode of package cmdline has a row in modes.
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

// TestSignalBeforeStdin: a signal ends a submission even before the first octet of stdin is
// read. A person who types Ctrl-C need not end the message first.
func TestSignalBeforeStdin(t *testing.T) {
	p := &program{cmd: &cmdline.Command{Mode: cmdline.Submit}}
	if p.interruptible(); !p.reading.Load() {
		t.Error("a signal would only end the context, which the reading of stdin does not see")
	}
}
