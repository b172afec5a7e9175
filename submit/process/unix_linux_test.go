package process

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHardenTells proves that Harden says which call was refused, and makes the other
// calls nevertheless.
func TestHardenTells(t *testing.T) {
	old := undumpable
	mask := syscall.Umask(0)
	t.Cleanup(func() { undumpable = old; syscall.Umask(mask) })
	undumpable = func() error { return nil }
	if h := Harden(); h.Exposed != nil {
		t.Errorf("with all that it asks for: %v", h.Exposed)
	}
	undumpable = func() error { return unix.EPERM }
	h := Harden()
	if h.Exposed == nil || !strings.Contains(h.Exposed.Error(), unix.EPERM.Error()) {
		t.Errorf("with a call that fails: %v", h.Exposed)
	}
	if mask := syscall.Umask(0); mask != 0o077 {
		t.Errorf("the umask is %#o", mask)
	}
}
