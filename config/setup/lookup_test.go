package setup

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sendoff/config/discover"
	"sendoff/config/discover/discovertest"
	"sendoff/submit/status"
)

// TestLookupsEnd: however long name servers, web servers and mail servers are silent, all
// look-ups together end in time. If only the name servers are, there is no network.
func TestLookupsEnd(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  discovertest.Answer
		offline bool
	}{
		{"silent name servers", discovertest.Answer{Silent: true}, true},
		{"failing name servers", discovertest.Answer{Code: dnsmessage.RCodeServerFailure}, true},
		{"silent servers", discovertest.Answer{Code: dnsmessage.RCodeNameError}, false},
	} {
		s := newStage(t)
		s.There, s.Address, s.Yes, s.For = false, "ann@example.org", true, "cron"
		silence := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute): // http.Transport does not end its dials
			}
			return status.Connection.Errorf("no answer")
		}
		s.Try = func(ctx context.Context, _ Trial) (Seen, error) { return Seen{}, silence(ctx) }
		discover.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, silence(ctx) }
		t.Cleanup(func() { discover.Dial = nil })
		discovertest.Names(t, func(dnsmessage.Question) discovertest.Answer { return tt.answer })
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := s.Run(t.Context())
			if errors.Is(err, discover.ErrOffline) != tt.offline || !tt.offline && status.KindOf(err) != status.Usage {
				t.Errorf("%s: %v\n%s", tt.name, err, s.shown.String())
			}
			if took := time.Since(began); took > discover.Patience {
				t.Errorf("%s: %v", tt.name, took)
			}
			time.Sleep(time.Hour) // what was asked ends as well
		})
	}
}
