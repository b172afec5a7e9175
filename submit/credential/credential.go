// Package credential reads and stores secrets. The configuration has only references, which
// say where the secrets are: package secret describes the kinds of references, and sourceOf
// has what can be done with each kind.
//
// An account may have a list of references. They are tried in order. The next one is tried
// if a secret is not there or cannot be read now. It is not tried if the secret is there
// but must not be used (a file that others can write, a secret with a NUL): a person has to
// repair this.
//
// Every wait has a limit: 3 seconds for the keyring, after up to 10 seconds for the start
// of its service; 10 seconds for a command. Both limits are 2 minutes if a person is at the
// terminal, who may be typing a passphrase.
//
// To get an access token, the provider needs a refresh token, which Authorise has stored in
// a writable place; oauth2.go has the picture.
//
// Errors: ParseRef returns Config. All other errors are Credential, but AuthFailed if a
// provider refuses, and Connection if it cannot be reached. A failure of the keyring is one
// of the Err variables below. If several sources fail, their errors are joined in order,
// with "; " between them. No error contains a secret.
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
	Host string // of the server, without a port; any case

	OAuth2 *OAuth2 // nil: no access token is wanted, only stored secrets
}

// username returns the user name under which the keyring stores the item: USER@HOST.
func (i Item) username() (string, error) {
	switch {
	case i.User == "" || i.Host == "":
		return "", errors.New("the account lacks a user or a server, by which its password is stored")
	case strings.ContainsFunc(i.User+i.Host, unicode.IsControl):
		return "", errors.New("user or server contains a control character")
	}
	return i.User + "@" + strings.ToLower(i.Host), nil
}

// A Store reads and stores secrets. Its fields replace parts of the outside world. The zero
// Store uses the keyring, the environment and the network of the system, and asks nobody.
type Store struct {
	Keyring     Keyring           // nil: the system's
	Interactive bool              // a person is at the terminal, and may be asked for a passphrase
	Home        string            // what "~/" stands for; "": $HOME
	Tell        func(line string) // shows the person a line if a call takes long; nil: shows nothing

	dial func(ctx context.Context, network, address string) (net.Conn, error) // connects to a provider; nil: without a special dialer
}

func (s *Store) home() string {
	if s.Home != "" {
		return s.Home
	}
	home, _ := os.UserHomeDir()
	return home
}

// A source has the functions for one kind of reference.
type source struct {
	get    func(place, context.Context) (string, error)
	put    func(place, context.Context, string) error // nil: such a secret cannot be written
	delete func(place, context.Context) error         // nil: such a secret cannot be deleted
	ready  func(place) error                          // returns why put would fail, as far as that can be checked beforehand; nil: nothing can be checked
}

// sourceOf returns the source for a kind of package secret. It is not a variable: getOAuth2
// reads the refresh token through sourceOf, which would be an initialization cycle.
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

// A place is a reference with all that is needed to read or write its secret.
type place struct {
	store *Store
	ref   Ref
	item  Item
}

// A Ref is a reference to a secret, as the configuration has it (secret.Ref).
type Ref = secret.Ref

// ParseRef calls secret.Parse; its errors are of kind status.Config.
func ParseRef(s string) (Ref, error) {
	r, err := secret.Parse(s)
	return r, status.Config.Wrap(err)
}

// Get returns the first secret of refs that can be read. The result is the zero Secret,
// without an error, only for the reference "none".
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

// get returns the secret; for the reference "none", the zero Secret.
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

// named puts the name of the source before err; nil stays nil.
func (p place) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.ref, err)
}

// Put stores secret at r. After Put has returned nil, Get of r returns this secret.
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

// Ready returns why Put would fail for r, as far as that can be checked beforehand; nil:
// nothing is wrong.
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

// Delete removes the secret at r. If there is no secret, this is an error.
func (s *Store) Delete(ctx context.Context, r Ref, item Item) error {
	remove := sourceOf(r.Kind()).delete
	if remove == nil {
		return status.Credential.Errorf("%s: sendoff can delete passwords only from the keyring and file:PATH", r)
	}
	p := place{s, r, item}
	return status.Credential.Wrap(p.named(remove(p, ctx)))
}

// Writable returns the first of refs that Put can write to. refs must not be empty.
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

// unusable is the error for a secret that exists but must not be used: Get tries no other
// reference.
type unusable struct{ error }

func (u unusable) Unwrap() error { return u.error }
