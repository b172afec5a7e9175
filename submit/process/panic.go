package process

import (
	"fmt"
	"runtime"
	"strings"
)

// PanicPlace returns where a panic began, as pkg.Function:LINE, without any data of the
// panic. Only the deferred function that recovers may call it.
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

// Guarded runs f, and returns a panic of f as an error. Without it, a bug that one message
// meets in a goroutine would end the whole process.
func Guarded(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error in %s: %v", PanicPlace(), p)
		}
	}()
	f()
	return nil
}
