package program

import (
	"io"
	"os"
	"strings"
	"testing"

	"sendoff/config/cmdline"
)

// TestUnsure holds that -v says so where the environment has no effect, and nothing
// else does beside a mail.
func TestUnsure(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	for _, row := range []struct{ unsure, verbose, said bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		os.Stderr = w
		p := &program{unsure: row.unsure, cmd: &cmdline.Command{Face: cmdline.Sendoff, Name: "sendoff", Verbose: row.verbose}}
		p.submitter()
		w.Close()
		said, err := io.ReadAll(r)
		if err != nil || strings.Contains(string(said), "AT_SECURE") != row.said {
			t.Errorf("%+v: %q, %v", row, said, err)
		}
	}
}
