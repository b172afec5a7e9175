//go:build unix

package process

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestQuitAtPrompt holds that SIGQUIT is one signal for a prompt, SIGTERM: after another one
// before it, the SIGTERM would kill the process before the terminal is restored.
func TestQuitAtPrompt(t *testing.T) {
	CatchSignals()
	survive := make(chan os.Signal, 1)
	signal.Notify(survive, syscall.SIGTERM)
	defer signal.Stop(survive)
	_, err := untilStopped(func() (int, error) {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	})
	<-survive
	if want := (Stopped{syscall.SIGTERM}); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}
