package status

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// lookups has what Go says of a name server, and a person's words for that; the row ""
// is for everything else.
var lookups = [...]struct{ says, words string }{
	{"connection refused", "refuses to answer: connection refused"},
	{"unreachable", "cannot be reached: network is unreachable"},
	{"no route to host", "cannot be reached: no route to host"},
	{"not permitted", "may not be asked: operation not permitted"},
	{"no answer from DNS server", "gives an empty answer"},
	{"", "fails, or gives an answer that cannot be understood"},
}

// lookupCode is the code of a look-up that failed.
var lookupCode = Code{4, 4, 3}

// LookUp returns the error of a name that was not found, of kind Connection. err is the
// net package's, or nil if the answer was empty. The text has the name server's address,
// where it is known.
func LookUp(host string, err error) error {
	return Connection.With(lookupCode, fmt.Errorf("look up %s: %w", host, lookupFailure(err)))
}

func lookupFailure(err error) error {
	e := new(net.DNSError)
	isDNS := errors.As(err, &e)
	whom := "the name server"
	if e.Server != "" {
		whom += " " + strings.TrimSuffix(e.Server, ":53")
	}
	switch {
	case e.IsNotFound && e.Server != "":
		return fmt.Errorf("no such host, says %s", whom)
	case err == nil, e.IsNotFound, errors.As(err, new(*net.AddrError)): // AddrError: the host has addresses of the other family only
		return errors.New("no such host")
	case e.IsTimeout:
		return fmt.Errorf("%s does not answer", whom)
	}
	for _, row := range lookups {
		if isDNS && strings.Contains(e.Err, row.says) {
			return fmt.Errorf("%s %s", whom, row.words)
		}
	}
	return err
}
