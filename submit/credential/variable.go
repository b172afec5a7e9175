package credential

import (
	"context"

	"sendoff/submit/process"
)

// A Lacking is the error of a process that was started without the variable or the
// credential of a source, in words. Another process may have it, so the account is not
// at fault.
type Lacking string

// Error implements error.
func (l Lacking) Error() string { return string(l) }

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
		return "", Lacking("this process has no such variable")
	}
	return value, nil
}
