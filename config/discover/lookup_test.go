package discover

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sendoff/config"
	"sendoff/config/discover/discovertest"
)

// TestOffline: there is no network if no name server answers, or if the name server fails
// for every name. An answer about the root is enough.
func TestOffline(t *testing.T) {
	silent := discovertest.Answer{Silent: true}
	fails := discovertest.Answer{Code: dnsmessage.RCodeServerFailure}
	missing := discovertest.Answer{Code: dnsmessage.RCodeNameError}
	root := discovertest.Answer{Bodies: []dnsmessage.ResourceBody{&dnsmessage.NSResource{NS: dnsmessage.MustNewName("a.example.")}}}
	for _, tt := range []struct {
		name         string
		domain, root discovertest.Answer
		offline      bool
	}{
		{"silence", silent, silent, true},
		{"failures", fails, fails, true},
		{"a failure and silence", fails, silent, true},
		{"no such domain", missing, silent, false},
		{"no records", discovertest.Answer{}, silent, false},
		{"only the root", fails, root, false},
		{"silence about the domain", silent, root, false},
	} {
		discovertest.Names(t, func(q dnsmessage.Question) discovertest.Answer {
			if q.Type == dnsmessage.TypeNS {
				return tt.root
			}
			return tt.domain
		})
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := (&Finder{Address: Address{ASCII: "example.org"}}).Offline(t.Context())
			if errors.Is(err, ErrOffline) != tt.offline {
				t.Errorf("%s: %v", tt.name, err)
			}
			if took := time.Since(began); took > offlineTime {
				t.Errorf("%s: %v", tt.name, took)
			}
			time.Sleep(time.Hour) // what was asked ends as well
		})
	}
}

// TestRecordsOrder: SRV records are tried in the order of their priority, then of their
// weight, and submissions before submission.
func TestRecordsOrder(t *testing.T) {
	record := func(host string, priority, weight uint16) dnsmessage.ResourceBody {
		return &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: 4650, Target: dnsmessage.MustNewName(host + ".example.org.")}
	}
	discovertest.Names(t, func(q dnsmessage.Question) discovertest.Answer {
		switch q.Name.String() {
		case "_submissions._tcp.example.org.":
			return discovertest.Answer{Bodies: []dnsmessage.ResourceBody{record("third", 20, 0), record("second", 10, 0), record("first", 10, 65535)}}
		case "_submission._tcp.example.org.":
			return discovertest.Answer{Bodies: []dnsmessage.ResourceBody{record("fourth", 0, 9)}}
		}
		return discovertest.Answer{Code: dnsmessage.RCodeNameError}
	})
	order := []string{"smtps://first", "smtps://second", "smtps://third", "smtp://fourth"}
	for i, want := range order {
		f := &Finder{Address: Address{ASCII: "example.org"}, Try: func(_ context.Context, s config.Server) error {
			for _, away := range order[:i] {
				if strings.HasPrefix(s.String(), away) {
					return errors.New("away")
				}
			}
			return nil
		}}
		found, err := f.srv(t.Context())
		if err != nil || found.Server.String() != want+".example.org:4650" {
			t.Errorf("%d: got %v, %v; want %s", i, found, err, want)
		}
	}
}
