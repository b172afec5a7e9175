//go:build !(linux || netbsd || openbsd || ((freebsd || dragonfly) && cgo))

package credential

import (
	"context"
	"runtime"

	"github.com/zalando/go-keyring"
)

// mayAsk reports whether the system may ask the person although nothing is locked: the
// Keychain of macOS asks whether sendoff may read an item.
const mayAsk = runtime.GOOS == "darwin"

func (system) Get(service, username string) (string, error) { return keyring.Get(service, username) }

func (system) Delete(service, username string) error { return keyring.Delete(service, username) }

// look checks nothing: these keyrings would prompt the person.
func look(context.Context, string, bool) (locked bool, err error) { return false, nil }

// startService does nothing: here the keyring is no service that can be started.
func startService(context.Context) error { return nil }

func busError(error) error { return nil }
