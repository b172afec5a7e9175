package dial

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sendoff/submit/queue"
)

// TestStalledClock tests that a trait with a time too far in the future, written by a
// wrong clock, does not count.
func TestStalledClock(t *testing.T) {
	q, err := queue.Open(filepath.Join(t.TempDir(), "queue"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	d := &Dialer{State: q.State}
	h := Hop{Address: netip.MustParseAddrPort("[2001:db8::1]:25")}
	for _, tt := range []struct {
		ago  time.Duration
		want bool
	}{{time.Minute, true}, {61 * time.Minute, false}, {-time.Minute, false}} {
		q.State.Write(addressFile(h), fmt.Appendf(nil, `{"stalled": %q}`, time.Now().Add(time.Hour-tt.ago).Format(time.RFC3339Nano)))
		if got := d.Is(h, Stalls); got != tt.want {
			t.Errorf("%s ago: %v", tt.ago, got)
		}
	}
}
