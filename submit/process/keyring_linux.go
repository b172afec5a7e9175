package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// newKeyring gives this thread, and what it starts, a session keyring without a
// key. A kernel without keyrings has no key to hide.
func newKeyring() error {
	// Not KeyctlJoinSessionKeyring, which cannot say that the keyring is to have no name.
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err == nil || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("their processes cannot be kept from root's session keyring: keyctl: %w", err)
}
