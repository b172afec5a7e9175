package credential

import (
	"context"
	"errors"

	"sendoff/submit/process"
)

// ErrNoVariable is the error of a process that was started without the variable of
// a source: another one may have it, so the account is not at fault.
var ErrNoVariable = errors.New("this process has no such variable")

// Hide takes the variables of these sources out of the environment, so that no
// program gets them that is started later.
func Hide(refs ...Ref) {
	for _, r := range refs {
		if r.IsVariable() {
			process.TakeVariable(r.Arg())
		}
	}
}

func (p place) getVariable(context.Context) (string, error) {
	value, ok := process.TakeVariable(p.ref.Arg())
	if !ok {
		return "", ErrNoVariable
	}
	return value, nil
}
