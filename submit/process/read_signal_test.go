package process

import (
	"context"
	"os"
	"testing"
)

// A signal that comes between a prompt and the read of its answer ends the read.
func TestReadAfterSignal(t *testing.T) {
	before, endBefore := reads, endReads
	defer func() { reads, endReads = before, endBefore }()
	reads, endReads = context.WithCancelCause(context.Background())
	endReads(Stopped{os.Interrupt})
	_, err := untilStopped(func() (string, error) {
		<-t.Context().Done()
		return "", nil
	})
	if err != (Stopped{os.Interrupt}) {
		t.Errorf("%v", err)
	}
}
