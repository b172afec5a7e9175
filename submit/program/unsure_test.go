package program

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"sendoff/config/cmdline"
	"sendoff/submit/process"
)

// TestHardened: -v says if variables of the environment have no effect, and if others can
// read our memory. A submission without -v does not.
func TestHardened(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	const secure, bare = "AT_SECURE", "can read the password in the memory"
	for _, row := range []struct {
		hardened process.Hardened
		verbose  bool
		said     []string
	}{
		{process.Hardened{Unsure: true}, true, []string{secure}},
		{process.Hardened{Exposed: io.EOF}, true, []string{bare}},
		{process.Hardened{Unsure: true, Exposed: io.EOF}, true, []string{secure, bare}},
		{process.Hardened{Unsure: true, Exposed: io.EOF}, false, nil},
		{process.Hardened{}, true, nil},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		os.Stderr = w
		p := &program{hardened: row.hardened, cmd: &cmdline.Command{Face: cmdline.Sendoff, Name: "sendoff", Verbose: row.verbose}}
		p.submitter()
		w.Close()
		said, err := io.ReadAll(r)
		for _, text := range []string{secure, bare} {
			if err != nil || strings.Contains(string(said), text) != slices.Contains(row.said, text) {
				t.Errorf("%+v: %q, %v", row, said, err)
			}
		}
	}
}
