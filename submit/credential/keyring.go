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

// What can be wrong with a keyring. Each is found with errors.Is, and stands
// behind "keyring: " in an error's text.
var (
	ErrNotFound     = errors.New("no password stored")
	ErrNoBus        = errors.New("no D-Bus session bus")
	ErrNoService    = errors.New("no keyring service on the session bus")
	ErrNoCollection = errors.New("the service has no default keyring")
	ErrLocked       = errors.New("locked")
	ErrTimeout      = errors.New("no answer")
	ErrCrashed      = errors.New("the service broke off")
	ErrTooBig       = errors.New("the secret is too long for it")
	ErrUnsupported  = errors.New("none on this system that sendoff can use")
)

// service is the keyring's name for us. With it and Item.username a person
// finds the password: secret-tool lookup service sendoff username USER@HOST.
const service = "sendoff"

// keyringLimit is how long the keyring may take, unless a person has to unlock
// it; then it is personLimit.
const keyringLimit = 3 * time.Second

func (p place) getKeyring(ctx context.Context) (string, error) {
	return p.guarded(ctx, false, func(k Keyring, username string) (string, error) {
		return k.Get(service, username)
	})
}

func (p place) putKeyring(ctx context.Context, secret string) error {
	_, err := p.guarded(ctx, true, func(k Keyring, username string) (string, error) {
		return "", k.Set(service, username, secret)
	})
	return err
}

func (p place) deleteKeyring(ctx context.Context) error {
	_, err := p.guarded(ctx, true, func(k Keyring, username string) (string, error) {
		return "", k.Delete(service, username)
	})
	return err
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
func (p place) guarded(ctx context.Context, write bool, call func(Keyring, string) (string, error)) (string, error) {
	username, err := p.item.username()
	if err != nil {
		return "", err
	}
	wait, cancel := limited(ctx, keyringLimit)
	defer cancel()
	k := p.store.Keyring
	if k == nil {
		k = system{}
		locked, err := attempt(wait, func() (bool, error) { return look(wait, username, write) })
		if err = explain(username, err); errors.Is(err, ErrNoService) {
			if err = explain(username, p.store.startKeyring(ctx)); err == nil {
				wait, cancel = limited(ctx, keyringLimit)
				defer cancel()
				locked, err = attempt(wait, func() (bool, error) { return lookAgain(wait, username, write) })
				err = explain(username, err)
			}
		}
		if err != nil {
			return "", err
		}
		if locked && !p.store.Interactive {
			return "", ErrLocked
		}
		if locked || mayAsk && p.store.Interactive {
			wait, cancel = limited(ctx, personLimit)
			defer cancel()
		}
	}
	text, err := attempt(wait, func() (string, error) { return call(k, username) })
	return text, explain(username, err)
}

// startKeyring has the system start the keyring's service.
func (s *Store) startKeyring(ctx context.Context) error {
	ctx, cancel := limited(ctx, startLimit)
	defer cancel()
	if s.Tell != nil {
		late := time.AfterFunc(startTold, func() { s.Tell("waiting for the keyring service, which is being started") })
		defer late.Stop()
	}
	_, err := attempt(ctx, func() (struct{}, error) { return struct{}{}, startService(ctx) })
	return err
}

// lookAgain looks until the service that has just been started has its collections,
// or ctx ends.
func lookAgain(ctx context.Context, username string, write bool) (locked bool, err error) {
	for {
		locked, err = look(ctx, username, write)
		if !errors.Is(err, ErrNoCollection) {
			return locked, err
		}
		select {
		case <-ctx.Done():
			return locked, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %v", ErrTimeout, limit))
}

// attempt calls f and returns what it returns; or, if ctx ends before that, why
// ctx ended. A panic of f is ErrCrashed. go-keyring takes no context: when ctx
// ends first, its call is left behind and lasts at most as long as the process.
func attempt[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if recover() != nil {
				r.err = ErrCrashed
			}
			done <- r
		}()
		r.value, r.err = f()
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil {
			r.err = context.Cause(ctx) // f failed because of it
		}
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}

// explain names what went wrong, in our words where we know it.
func explain(username string, err error) error {
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound), errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w for %s", ErrNotFound, username)
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
	if hasFinalWords(err) {
		return err
	}
	return errors.New(status.Line(err.Error(), 200))
}

// hasFinalWords reports whether the text of err is fit for people already.
func hasFinalWords(err error) bool {
	for _, e := range [...]error{ErrNoBus, ErrNoService, ErrNoCollection, ErrLocked, ErrTimeout, ErrCrashed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
