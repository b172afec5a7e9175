package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// A Stopped is the cause of a context that a signal ended.
type Stopped struct{ Signal os.Signal }

func (s Stopped) Error() string { return "stopped by a signal (" + s.Signal.String() + ")" }

// Interruptible returns a context that the first SIGINT, SIGTERM or SIGHUP
// ends, after first was called with the cause, which is a Stopped. A SIGINT or SIGHUP
// that the caller has ignored (nohup, a job in the background) stays ignored. An ignored
// SIGTERM does not: the Go runtime takes it over before main.
func Interruptible(first func(cause error)) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := endings()
	go func() {
		cause := Stopped{<-c}
		first(cause)
		cancel(cause)
	}()
	return ctx
}

// endings returns a channel of these three signals, but for the ignored ones.
func endings() chan os.Signal {
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	return c
}
