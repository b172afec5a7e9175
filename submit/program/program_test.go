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

// TestSignalBeforeStdin holds that a signal ends a submission also before the first octet
// of stdin is read: who types Ctrl-C does not have to end the message first.
func TestSignalBeforeStdin(t *testing.T) {
	p := &program{cmd: &cmdline.Command{Mode: cmdline.Submit}}
	if p.interruptible(); !p.reading.Load() {
		t.Error("a signal would only end the context, which the reading of stdin does not see")
	}
}
