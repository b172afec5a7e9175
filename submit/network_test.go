package submit

import (
	"context"
	"net"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial/dialtest"
	"sendoff/submit/smarthost"
)

// newNetwork returns a network in which each host takes a mail.
func newNetwork(names map[string]dialtest.Zone, hosts map[string]dialtest.Peer) *dialtest.Network {
	return &dialtest.Network{Began: time.Now(), Names: names, Hosts: hosts, Session: dialtest.Session}
}

// submitTo sends a mail through servers of the network.
func submitTo(t *testing.T, n *dialtest.Network, servers ...string) error {
	a := work(t, "ann@example.org")
	a.User = ""
	for _, url := range servers {
		a.Servers = append(a.Servers, server(t, url))
	}
	return submitterIn(n).Submit(context.Background(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
}

// submitterIn returns a Submitter whose servers are in the network.
func submitterIn(n *dialtest.Network) *Submitter {
	return &Submitter{Config: &config.Config{Hostname: "client.example"}, Smarthosts: poolIn(n)}
}

// poolIn returns a Pool whose servers are in the network.
func poolIn(n *dialtest.Network) *smarthost.Pool {
	p := smarthost.New(&credential.Store{})
	p.Dialer.Lookup, p.Dialer.LookupSRV, p.Dialer.Dial = n.Lookup, n.LookupSRV, n.Dial
	return p
}

// poolTo returns a Pool that dials so, for a user without a home.
func poolTo(dial func(context.Context, string, string) (net.Conn, error)) *smarthost.Pool {
	p := smarthost.New(&credential.Store{Home: "/nonexistent"})
	p.Dialer.Dial = dial
	return p
}
