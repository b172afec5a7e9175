//go:build unix

package process

import (
	"os"
	"testing"
)

// TestDistrustEnvironment proves that only the variables about secrets are removed.
func TestDistrustEnvironment(t *testing.T) {
	for _, name := range []string{"SENDOFF_SECRET", "SENDOFF_ELSE", "DBUS_SESSION_BUS_ADDRESS", "OTHER_SENDOFF_SECRET"} {
		t.Setenv(name, "x")
	}
	distrustEnvironment()
	for name, want := range map[string]string{"SENDOFF_SECRET": "", "SENDOFF_ELSE": "", "DBUS_SESSION_BUS_ADDRESS": "", "OTHER_SENDOFF_SECRET": "x"} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}
