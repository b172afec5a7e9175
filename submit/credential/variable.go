package credential

import (
	"context"
	"errors"

	"sendoff/submit/process"
)

// ErrNoVariable is the error if the environment of this process has no such variable. The
// account may still be correct: another process may have the variable.
var ErrNoVariable = errors.New("this process has no such variable")

// Hide removes the variables of these sources from the environment, so that programs that
// we start later do not inherit them.
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
