package process

import (
	"fmt"
	"runtime"
	"strings"
)

// PanicPlace returns, in a function that recovers, the function and the line in which
// the panic began, as pkg.Function:LINE, without any of its data.
func PanicPlace() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicked := false
	for {
		f, more := frames.Next()
		if panicked && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		panicked = panicked || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

// Guarded runs f, and returns a panic of f as an error. In a goroutine of its own, a bug
// that one message meets would else end the whole process.
func Guarded(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error in %s: %v", PanicPlace(), p)
		}
	}()
	f()
	return nil
}
