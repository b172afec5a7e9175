package credential

import (
	"context"
	"errors"
	"strings"

	"sendoff/submit/process"
)

// ErrNoVariable is the error of a process that was started without the variable of
// a source: another one may have it, so the account is not at fault.
var ErrNoVariable = errors.New("this process has no such variable")

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func parseVariable(arg string) error {
	switch {
	case arg == "" || arg[0] >= '0' && arg[0] <= '9' || strings.ContainsFunc(arg, func(r rune) bool { return !strings.ContainsRune(nameLetters, r) }):
		return errors.New("the name must be that of a variable, of letters, digits and _")
	case strings.HasPrefix(arg, "SENDOFF_"):
		return errors.New("the names that begin with SENDOFF_ are for settings; give the variable another one")
	}
	return nil
}

// Hide takes the variables of these sources out of the environment, so that no
// program gets them that is started later. What is no source has none.
func Hide(sources ...string) {
	for _, source := range sources {
		if ref, err := ParseRef(source); err == nil && ref.source.name == "env" {
			process.TakeVariable(ref.arg)
		}
	}
}

func (p place) getVariable(context.Context) (string, error) {
	value, ok := process.TakeVariable(p.arg)
	if !ok {
		return "", ErrNoVariable
	}
	return value, nil
}
