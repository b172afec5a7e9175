//go:build !linux

package submit_test

import "github.com/rogpeppe/go-internal/testscript"

func onTerminal(ts *testscript.TestScript, _ []string) {
	ts.Fatalf("there is no pseudo-terminal here; a script needs [!linux] skip")
}
