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

// A Keyring stores secrets by service and user name, as go-keyring does. Get and Delete
// return ErrNotFound if there is no such secret. A Keyring may hang or panic: a Store calls
// it in a goroutine, and stops waiting after a time limit.
type Keyring interface {
	Get(service, username string) (string, error)
	Set(service, username, secret string) error
	Delete(service, username string) error
}

// A keyringError is a known failure of a keyring. Use errors.Is to find one. In the text of
// an error it comes after "keyring: ".
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

// OneSecret is a Keyring that returns the same secret for every user name, and stores
// nothing. It is for an account without a configuration, and for tests.
type OneSecret struct{ Secret Secret }

func (o OneSecret) Get(string, string) (string, error) { return o.Secret.Reveal(), nil }
func (OneSecret) Set(string, string, string) error     { return ErrUnsupported }
func (OneSecret) Delete(string, string) error          { return ErrUnsupported }

// system is the system's keyring. If that is the Secret Service on the session bus, look
// must be called first: it sets DBUS_SESSION_BUS_ADDRESS, because without this variable
// go-keyring starts dbus-launch, whose daemons would outlive us.
type system struct{}

func (system) Set(service, username, secret string) error {
	return keyring.Set(service, username, secret)
}

// service is the service name of our items in the keyring. A person finds the password with
// secret-tool lookup service sendoff username USER@HOST.
const service = "sendoff"

// keyringLimit is how long the keyring may take. If a person has to unlock it, the limit is
// personLimit.
const keyringLimit = 3 * time.Second

func (p place) getKeyring(ctx context.Context) (string, error) {
	var secret string
	err := p.guarded(ctx, false, func(k Keyring, username string) (err error) {
		secret, err = k.Get(service, username)
		return err
	})
	if err != nil {
		return "", err // do not return secret: after a timeout the goroutine of the call may still write to it
	}
	return secret, nil
}

func (p place) putKeyring(ctx context.Context, secret string) error {
	return p.guarded(ctx, true, func(k Keyring, username string) error { return k.Set(service, username, secret) })
}

func (p place) deleteKeyring(ctx context.Context) error {
	return p.guarded(ctx, true, func(k Keyring, username string) error { return k.Delete(service, username) })
}

// startLimit is how long the start of the keyring service may take. After startTold the
// person is told about the start.
const (
	startLimit = 10 * time.Second
	startTold  = time.Second
)

// guarded calls call with the keyring. Whatever the keyring does, guarded returns in time:
//
//	look    is there a bus, a service, a collection? is it locked?   3 s
//	start   if no service is running: start it, then look again      10 s
//	call    if locked, and nobody is there to unlock it: no call
//	        if locked, or the system may ask the person:             2 min
//	        otherwise the rest of the 3 s
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
				for errors.Is(err, ErrNoCollection) { // the new service is still reading its collections
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

// startKeyring asks the system to start the keyring service, and waits for it.
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

// attempt calls f and returns the result of explain for its error. If ctx ends first, it
// returns the cause of ctx. A panic of f gives ErrCrashed. go-keyring takes no context: its
// call then goes on in its goroutine, at most until the process ends.
func attempt(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := error(ErrCrashed) // stays if f panics
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
	return context.Cause(ctx) // also if f has failed after the end of ctx, because of that
}

// explain turns err into one of our errors if we know it; otherwise it shortens the text.
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
		// exit codes of security(1) on macOS: it may not ask, the password was wrong, or
		// the person closed the prompt
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
