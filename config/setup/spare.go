package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/credential"
)

// A shelf is where secrets stand already, which must not be lost to new ones.
type shelf struct {
	store    *credential.Store
	accounts []*config.Account // whose secrets they are; a file need not be there yet
}

// other reports whether a secret is at ref that is not the given one. A place
// that cannot be read holds none: whoever writes to it finds out why.
func (s shelf) other(ctx context.Context, ref credential.Ref, item credential.Item, than credential.Secret) bool {
	there, err := s.store.Get(ctx, []credential.Ref{ref}, item)
	return err == nil && there.Reveal() != than.Reveal()
}

// free returns source, of the form file:PATH.secret, or the first of
// file:PATH-2.secret and so on that holds nothing but the secret, and that is
// no other account's.
func (s shelf) free(ctx context.Context, source string, secret credential.Secret) string {
	base := strings.TrimSuffix(source, ".secret")
	for n := 2; s.occupied(ctx, source, secret); n++ {
		source = fmt.Sprintf("%s-%d.secret", base, n)
	}
	return source
}

func (s shelf) occupied(ctx context.Context, source string, secret credential.Secret) bool {
	ref, err := credential.ParseRef(source)
	if err != nil {
		return false
	}
	if _, err := os.Lstat(s.path(source)); err == nil {
		there, err := s.store.Get(ctx, []credential.Ref{ref}, credential.Item{})
		return err != nil || there.Reveal() != secret.Reveal()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false // as in other
	}
	return slices.ContainsFunc(s.accounts, func(a *config.Account) bool {
		return slices.ContainsFunc(append([]string{a.RefreshToken}, a.Secret...), func(has string) bool {
			return strings.HasPrefix(has, "file:") && s.path(has) == s.path(source)
		})
	})
}

// path returns the path of a source file:PATH.
func (s shelf) path(source string) string {
	path := strings.TrimPrefix(source, "file:")
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(s.store.Home, rest)
	}
	return filepath.Clean(path)
}
