//go:build unix

package credential

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"
)

// A ring is a keyring in memory, by user name.
type ring map[string]string

func (s ring) Get(service, username string) (string, error) {
	secret, ok := s[username]
	if service != "sendoff" || !ok {
		return "", ErrNotFound
	}
	return secret, nil
}

func (s ring) Set(_, username, secret string) error {
	s[username] = secret
	return nil
}

func (s ring) Delete(_, username string) error {
	if _, ok := s[username]; !ok {
		return keyring.ErrNotFound
	}
	delete(s, username)
	return nil
}

func TestKeyring(t *testing.T) {
	kept := ring{}
	store := &Store{Keyring: kept}
	ref := refs(t, "keyring")
	secret, _ := NewSecret("hunter2")

	_, err := store.Get(t.Context(), ref, item)
	fails(t, err, "keyring: no password stored for ann@example.org at smtp.example.org")
	if !errors.Is(err, ErrNotFound) {
		t.Error("not ErrNotFound")
	}
	if err := store.Put(t.Context(), ref[0], item, secret); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), ref, Item{User: item.User, Host: "SMTP.Example.ORG"})
	if got.Reveal() != "hunter2" || kept["ann@example.org@smtp.example.org"] != "hunter2" {
		t.Errorf("got %q, %v; kept %v", got.Reveal(), err, kept)
	}
	if err := store.Delete(t.Context(), ref[0], item); err != nil {
		t.Fatal(err)
	}
	err = store.Delete(t.Context(), ref[0], item)
	fails(t, err, "keyring: no password stored for ann@example.org at smtp.example.org")

	for _, bad := range []Item{{}, {User: "ann"}, {Host: "h"}, {User: "a\nb", Host: "h"}} {
		if _, err := store.Get(t.Context(), ref, bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A broken keyring calls the same function in all methods.
type broken func() error

func (b broken) Get(string, string) (string, error) { return "", b() }
func (b broken) Set(string, string, string) error   { return b() }
func (b broken) Delete(string, string) error        { return b() }

func TestKeyringGuard(t *testing.T) {
	tests := []struct {
		name    string
		do      func(hang chan bool) error
		want    error
		text    string
		elapsed time.Duration
	}{
		{"hangs", func(hang chan bool) error { <-hang; return nil }, ErrTimeout, "keyring: no answer within 3s", 3 * time.Second},
		{"panics", func(chan bool) error { var p *int; *p = 1; return nil }, ErrCrashed, "keyring: the keyring service closed the connection", 0},
		{"late", func(chan bool) error { time.Sleep(time.Minute); return nil }, ErrTimeout, "keyring: no answer within 3s", 3 * time.Second},
		{"unsupported", func(chan bool) error { return keyring.ErrUnsupportedPlatform }, ErrUnsupported, "keyring: this system has none that sendoff can use", 0},
		{"too big", func(chan bool) error { return keyring.ErrSetDataTooBig }, ErrTooBig, "keyring: the password is too long for the keyring", 0},
		{"unknown", func(chan bool) error { return errors.New("odd\x1b[2J\n") }, nil, "keyring: odd�[2J", 0},
	}
	secret, _ := NewSecret("hunter2")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan bool)
				defer time.Sleep(time.Hour) // lets the late call end
				defer close(hang)
				store := &Store{Keyring: broken(func() error { return tt.do(hang) }), Interactive: true}
				r := refs(t, "keyring")
				_, get := store.Get(t.Context(), r, item)
				start := time.Now()
				put := store.Put(t.Context(), r[0], item, secret)
				elapsed := time.Since(start)
				for _, err := range []error{get, put, store.Delete(t.Context(), r[0], item)} {
					fails(t, err, tt.text)
					if tt.want != nil && !errors.Is(err, tt.want) {
						t.Errorf("%v is not %v", err, tt.want)
					}
				}
				if elapsed != tt.elapsed {
					t.Errorf("took %v, want %v", elapsed, tt.elapsed)
				}
			})
		})
	}
}

// TestKeyringInterrupted: when the caller cancels, the error says so, and no other
// reference is tried.
func TestKeyringInterrupted(t *testing.T) {
	hang := make(chan bool)
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	store := &Store{Keyring: broken(func() error { cancel(); <-hang; return nil })}
	_, err := store.Get(ctx, refs(t, "keyring\nnone"), item)
	fails(t, err, "keyring: context canceled")
}
