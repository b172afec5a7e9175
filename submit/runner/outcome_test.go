package runner

import (
	"testing"
)

func TestOutcome(t *testing.T) {
	for o, want := range map[Outcome]string{
		{}:                    "nothing to send",
		{Sent: 2}:             "2 sent",
		{Sent: 2, GivenUp: 1}: "2 sent, 1 failed",
		{Sent: 2, Left: 1}:    "2 sent, 1 queued; sendoff -bp shows why",
		{GivenUp: 1, Left: 3}: "1 failed, 3 queued; sendoff -bp shows why",
		{Left: 1}:             "nothing sent, 1 queued; sendoff -bp shows why",
	} {
		if got := o.String(); got != want {
			t.Errorf("%+v: got %s, want %s", o, got, want)
		}
	}
}
