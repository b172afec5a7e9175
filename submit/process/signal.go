package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Stopped is the cause of a context, and the error of a read, that a signal has ended.
type Stopped struct{ Signal os.Signal }

func (s Stopped) Error() string {
	if s.Signal == os.Interrupt {
		return "interrupted by Ctrl-C"
	}
	return "stopped by a signal (" + s.Signal.String() + ")"
}

// reads ends at the first signal that Interruptible sees: a read that begins after the
// signal, perhaps because its prompt was just written, ends too.
var reads, endReads = context.WithCancelCause(context.Background())

// Interruptible returns a context that the first SIGINT, SIGTERM, SIGHUP or SIGQUIT ends.
// Before that, first is called with the cause of the context, a Stopped. A SIGINT or SIGHUP
// that our caller has ignored (nohup, a job in the background) stays ignored. SIGTERM and
// SIGQUIT end the context even if they were ignored: the Go runtime takes them over before
// main.
func Interruptible(first func(cause error)) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := endings()
	signal.Notify(c, syscall.SIGQUIT)
	go func() {
		cause := Stopped{<-c}
		endReads(cause)
		first(cause)
		cancel(cause)
	}()
	return ctx
}

// endings returns a channel of SIGINT, SIGTERM and SIGHUP, without those that are ignored.
// SIGQUIT is not one of them: a process that is not Interruptible turns it into SIGTERM,
// which would kill the process if a prompt had ended, and its channel with it, before.
func endings() chan os.Signal {
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	return c
}
