// Outside is sendoff as TestScript runs it: if the environment says so, it asks a name
// server of the tests, and what --setup connects to is led elsewhere.
//
//go:debug x509negativeserial=1
//go:debug netedns0=0
package main

import (
	"context"
	"net"
	"os"
	"strings"

	"sendoff/config/discover"
	"sendoff/submit/program"
)

func main() {
	if server := os.Getenv("SENDOFF_TEST_RESOLVER"); server != "" {
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}}
		discover.Dial = dial
	}
	os.Exit(program.Main(os.Args))
}

// dial is net.Dialer.DialContext, but for the routes FROM=TO of a script.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	for word := range strings.FieldsSeq(os.Getenv("SENDOFF_TEST_ROUTES")) {
		if from, to, _ := strings.Cut(word, "="); from == address {
			address = to
		}
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
