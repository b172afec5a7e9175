// Package credential fetches and keeps secrets. Configuration holds only where
// a secret is, never the secret: package secret has the picture of the kinds of
// places, and sourceOf what can be done in each.
//
// An account may have a list of them. They are tried in order; the next one is
// tried when a secret is not there or cannot be had now, but not when one is
// there and must not be used (a file that others can write, a NUL in it): that
// is for a person to mend.
//
// Every wait is bounded: 3 seconds for the keyring, after 10 in which its service
// may start, and 10 for a command; 2 minutes for either when a person is there who
// may be typing a passphrase.
//
// An access token is got with a refresh token, which Authorise has put into one
// of the places that can be written to; oauth2.go has the picture.
//
// Errors: ParseRef returns Config; all else is Credential, but AuthFailed where
// a provider refuses, and Connection where it is not reached. A failure of the
// keyring is one of the Err variables below. Several failed sources are one
// error, in their order, with "; " between. No error holds a secret.
package credential

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
	"unicode"

	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// personLimit is how long a person may take to answer a prompt.
const personLimit = 2 * time.Minute

// An Item says what a secret is for.
type Item struct {
	User string
	Host string // of the server, without a port

	OAuth2 *OAuth2 // nil where only what is stored is wanted, no access token
}

// username is what the keyring calls the item.
func (i Item) username() (string, error) {
	switch {
	case i.User == "" || i.Host == "":
		return "", errors.New("the account lacks a user or a server, by which its password is stored")
	case strings.ContainsFunc(i.User+i.Host, unicode.IsControl):
		return "", errors.New("user or server contains a control character")
	}
	return i.User + "@" + strings.ToLower(i.Host), nil
}

// A Store fetches and keeps secrets. Its fields are the outside world; the zero
// Store is the system's, for a process without a person or a privilege.
type Store struct {
	Keyring     Keyring           // nil: the system's
	Interactive bool              // a person is at the terminal, and may be asked to unlock something
	Home        string            // for "~/"; "" means the environment's
	Tell        func(line string) // tells the person why nothing happens; may be nil

	dial func(ctx context.Context, network, address string) (net.Conn, error) // to a provider; nil: the system's
}

func (s *Store) home() string {
	if s.Home != "" {
		return s.Home
	}
	home, _ := os.UserHomeDir()
	return home
}

// A source is what is done with references of a kind.
type source struct {
	get    func(place, context.Context) (string, error)
	put    func(place, context.Context, string) error // nil: cannot be written
	delete func(place, context.Context) error         // nil: nor deleted from
	ready  func(place) error                          // says before put what would fail there; nil: nothing is known before
}

// sourceOf returns the source of a kind, which package secret names and describes.
// It is no variable, because oauth2 gets its refresh token from another one.
func sourceOf(kind secret.Kind) source {
	return [secret.Kinds]source{
		secret.Keyring: {get: place.getKeyring, put: place.putKeyring, delete: place.deleteKeyring},
		secret.Command: {get: place.getCommand},
		secret.Env:     {get: place.getVariable},
		secret.File:    {get: place.getFile, put: place.putFile, delete: place.deleteFile, ready: place.readyFile},
		secret.Systemd: {get: place.getSystemd},
		secret.OAuth2:  {get: place.getOAuth2, delete: place.deleteOAuth2},
		secret.None:    {get: func(place, context.Context) (string, error) { return "", nil }},
	}[kind]
}

// A place is where one secret is or shall be.
type place struct {
	store *Store
	ref   Ref
	item  Item
}

// A Ref is a reference to a secret, as configuration holds it.
type Ref = secret.Ref

// ParseRef is secret.Parse; its errors are of kind status.Config.
func ParseRef(s string) (Ref, error) {
	r, err := secret.Parse(s)
	return r, status.Config.Wrap(err)
}

// Get returns the first secret of refs that can be had. It is the zero Secret
// only if that is what "none" gave.
func (s *Store) Get(ctx context.Context, refs []Ref, item Item) (Secret, error) {
	var failed error
	for _, r := range refs {
		secret, err := place{s, r, item}.get(ctx)
		if err == nil {
			return secret, nil
		}
		if failed != nil {
			err = fmt.Errorf("%w; %w", failed, err)
		}
		failed = err
		if ctx.Err() != nil || errors.As(err, new(unusable)) {
			break
		}
	}
	if failed == nil {
		failed = errors.New("the account has no secret source")
	}
	return Secret{}, status.Credential.Wrap(failed)
}

// get returns the secret; zero if there is none on purpose.
func (p place) get(ctx context.Context) (Secret, error) {
	if p.ref == (Ref{}) {
		return Secret{}, errors.New(p.ref.String())
	}
	text, err := sourceOf(p.ref.Kind()).get(p, ctx)
	if err != nil || p.ref.Kind() == secret.None {
		return Secret{}, p.named(err)
	}
	got, err := NewSecret(text)
	got.from = p.ref
	return got, p.named(err)
}

// named says of err, which may be nil, which source it is of.
func (p place) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.ref, err)
}

// Put keeps secret at r. When it returns nil, a later Get of r returns it.
func (s *Store) Put(ctx context.Context, r Ref, item Item, secret Secret) error {
	if _, err := Writable([]Ref{r}); err != nil {
		return err
	}
	if secret.IsZero() {
		return status.Credential.Errorf("%s: %w", r, errEmpty)
	}
	return status.Credential.Wrap(place{s, r, item}.put(ctx, secret.Reveal()))
}

func (p place) put(ctx context.Context, secret string) error {
	return p.named(sourceOf(p.ref.Kind()).put(p, ctx, secret))
}

// Ready says what would keep Put from keeping a secret at r, as far as that can be
// known before.
func (s *Store) Ready(r Ref, item Item) error {
	return status.Credential.Wrap(place{s, r, item}.ready())
}

func (p place) ready() error {
	ready := sourceOf(p.ref.Kind()).ready
	if ready == nil {
		return nil
	}
	return p.named(ready(p))
}

// Delete forgets the secret at r. That there is none is an error.
func (s *Store) Delete(ctx context.Context, r Ref, item Item) error {
	remove := sourceOf(r.Kind()).delete
	if remove == nil {
		return status.Credential.Errorf("%s: sendoff can delete passwords only from the keyring and file:PATH", r)
	}
	p := place{s, r, item}
	return status.Credential.Wrap(p.named(remove(p, ctx)))
}

// Writable returns the first of refs, of which there is one at least, that Put can
// write to.
func Writable(refs []Ref) (Ref, error) {
	var names []string
	for _, r := range refs {
		if r.Writable() {
			return r, nil
		}
		names = append(names, r.String())
	}
	return Ref{}, status.Credential.Errorf("%s: sendoff can store passwords only in the keyring and file:PATH", strings.Join(names, ", "))
}

// unusable is the error of a secret that is there but must not be used.
type unusable struct{ error }

func (u unusable) Unwrap() error { return u.error }
