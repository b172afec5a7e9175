package credential

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/zalando/go-keyring"

	"sendoff/submit/status"
)

// A Keyring keeps secrets by service and user name, as go-keyring does. Get
// and Delete return ErrNotFound when there is nothing. A Store calls it in
// a goroutine and may stop waiting for it, so it may hang or panic.
type Keyring interface {
	Get(service, username string) (string, error)
	Set(service, username, secret string) error
	Delete(service, username string) error
}

// A keyringError is what can be wrong with a keyring. Each is found with errors.Is,
// and stands behind "keyring: " in an error's text.
type keyringError string

func (e keyringError) Error() string { return string(e) }

const (
	ErrNotFound     keyringError = "no password stored"
	ErrNoBus        keyringError = "no D-Bus session bus"
	ErrNoService    keyringError = "no keyring service on the session bus"
	ErrNoCollection keyringError = "the service has no default keyring"
	ErrLocked       keyringError = "locked"
	ErrTimeout      keyringError = "no answer"
	ErrCrashed      keyringError = "the keyring service closed the connection"
	ErrTooBig       keyringError = "the password is too long for the keyring"
	ErrUnsupported  keyringError = "this system has none that sendoff can use"
)

// OneSecret is a keyring that has one secret, whatever it is asked for, and takes no
// other. It is for an account that is in no configuration, and for tests.
type OneSecret struct{ Secret Secret }

func (o OneSecret) Get(string, string) (string, error) { return o.Secret.Reveal(), nil }
func (OneSecret) Set(string, string, string) error     { return ErrUnsupported }
func (OneSecret) Delete(string, string) error          { return ErrUnsupported }

// system is the system's own keyring. Where that is the Secret Service on the session
// bus, it is called only after look, which leaves DBUS_SESSION_BUS_ADDRESS such that
// go-keyring does not start dbus-launch, whose daemons would outlive us.
type system struct{}

func (system) Set(service, username, secret string) error {
	return keyring.Set(service, username, secret)
}

// service is the keyring's name for us. With it and Item.username a person
// finds the password: secret-tool lookup service sendoff username USER@HOST.
const service = "sendoff"

// keyringLimit is how long the keyring may take, unless a person has to unlock
// it; then it is personLimit.
const keyringLimit = 3 * time.Second

func (p place) getKeyring(ctx context.Context) (string, error) {
	var secret string
	err := p.guarded(ctx, false, func(k Keyring, username string) (err error) {
		secret, err = k.Get(service, username)
		return err
	})
	if err != nil {
		return "", err // a call that was left behind may still write secret
	}
	return secret, nil
}

func (p place) putKeyring(ctx context.Context, secret string) error {
	return p.guarded(ctx, true, func(k Keyring, username string) error { return k.Set(service, username, secret) })
}

func (p place) deleteKeyring(ctx context.Context) error {
	return p.guarded(ctx, true, func(k Keyring, username string) error { return k.Delete(service, username) })
}

// startLimit is how long the system may take to start the keyring, and startTold
// when a person is told that it does.
const (
	startLimit = 10 * time.Second
	startTold  = time.Second
)

// guarded calls the keyring so that whatever it does, an answer comes in time:
//
//	look    is there a bus, a service, a collection? is it locked?   3 s
//	start   if there is no service that runs; then look again        10 s
//	call    if locked, and nobody is there to unlock it: not at all
//	        if locked, or the system may ask:                        2 min
//	        else the rest of the 3 s
func (p place) guarded(ctx context.Context, write bool, call func(Keyring, string) error) error {
	username, err := p.item.username()
	if err != nil {
		return err
	}
	wait, cancel := limited(ctx, keyringLimit)
	defer cancel()
	k := p.store.Keyring
	if k == nil {
		k = system{}
		var locked bool
		err := attempt(wait, func() (err error) {
			locked, err = look(wait, username, write)
			return err
		})
		if errors.Is(err, ErrNoService) {
			if err := p.store.startKeyring(ctx); err != nil {
				return err
			}
			wait, cancel = limited(ctx, keyringLimit)
			defer cancel()
			err = attempt(wait, func() (err error) {
				locked, err = look(wait, username, write)
				for errors.Is(err, ErrNoCollection) { // it is still reading them
					time.Sleep(50 * time.Millisecond)
					locked, err = look(wait, username, write)
				}
				return err
			})
		}
		if err != nil {
			return err
		}
		if locked && !p.store.Interactive {
			return ErrLocked
		}
		if locked || mayAsk && p.store.Interactive {
			wait, cancel = limited(ctx, personLimit)
			defer cancel()
		}
	}
	err = attempt(wait, func() error { return call(k, username) })
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w for %s at %s", ErrNotFound, p.item.User, p.item.Host)
	}
	return err
}

// startKeyring has the system start the keyring's service.
func (s *Store) startKeyring(ctx context.Context) error {
	ctx, cancel := limited(ctx, startLimit)
	defer cancel()
	if s.Tell != nil {
		late := time.AfterFunc(startTold, func() { s.Tell("starting the keyring service") })
		defer late.Stop()
	}
	return attempt(ctx, func() error { return startService(ctx) })
}

func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %v", ErrTimeout, limit))
}

// attempt calls f and returns its error, explained; or, if ctx ends before that, why
// ctx ended. A panic of f is ErrCrashed. go-keyring takes no context: when ctx ends
// first, its call is left behind and lasts at most as long as the process.
func attempt(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := error(ErrCrashed) // unless f returns
		defer func() {
			recover()
			done <- err
		}()
		err = f()
	}()
	select {
	case err := <-done:
		if err == nil || ctx.Err() == nil {
			return explain(err)
		}
	case <-ctx.Done():
	}
	return context.Cause(ctx) // if f has failed, then because of that
}

// explain names what went wrong, in our words where we know it.
func explain(err error) error {
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return ErrUnsupported
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return ErrTooBig
	case exit != nil && (exit.ExitCode() == 36 || exit.ExitCode() == 51 || exit.ExitCode() == 128):
		// security(1) on macOS: it may not ask, was given a wrong
		// password, or was dismissed.
		return ErrLocked
	}
	if known := busError(err); known != nil {
		return known
	}
	if _, known := errors.AsType[keyringError](err); known {
		return err
	}
	return errors.New(status.Line(err.Error(), 200))
}
