package process

import (
	"fmt"
	"runtime"
	"strings"
)

// PanicPlace says, in a function that recovers, where the panic came from: the
// function and its line, and none of its data.
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

// Guarded runs f, and returns a panic of it as an error: in a goroutine of its
// own nothing else would keep one message's bug from ending the whole process.
func Guarded(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error in %s: %v", PanicPlace(), p)
		}
	}()
	f()
	return nil
}
