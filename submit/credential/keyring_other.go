//go:build !(linux || netbsd || openbsd || ((freebsd || dragonfly) && cgo))

package credential

import (
	"context"
	"runtime"

	"github.com/zalando/go-keyring"
)

// mayAsk says that the system may ask the person although nothing is locked:
// the Keychain asks who may read an item.
const mayAsk = runtime.GOOS == "darwin"

func (system) Get(service, username string) (string, error) { return keyring.Get(service, username) }

func (system) Delete(service, username string) error { return keyring.Delete(service, username) }

// look finds nothing out: these keyrings cannot be asked without prompting.
func look(context.Context, string, bool) (locked bool, err error) { return false, nil }

// startService does nothing: there is no service to be started.
func startService(context.Context) error { return nil }

func busError(error) error { return nil }
