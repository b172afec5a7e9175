package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A Server is a next hop, as a URL names it. Only UnmarshalText makes one, so
// its parts are fit to be dialled as they are.
type Server struct {
	Scheme string // a row of schemes
	Host   string // in lower case and ASCII, an IPv6 address without brackets
	Port   int
}

// The schemes of a Server. Nothing but SchemePlain goes without TLS.
const (
	SchemeTLS      = "smtps"      // TLS from the start
	SchemeStartTLS = "smtp"       // STARTTLS required
	SchemePlain    = "smtp+plain" // no TLS
)

// schemes are the ways to a next hop. Those without a port are for a later
// version.
var schemes = [...]struct {
	name string
	port int
}{
	{SchemeTLS, 465},
	{SchemeStartTLS, 587},
	{SchemePlain, 25},
	{"unix", 0},
	{"lmtp", 0},
	{"lmtp+unix", 0},
	{"pipe", 0},
}

var errServer = errors.New("a server is written smtps://HOST, smtp://HOST or smtp+plain://HOST, with :PORT if need be")

// UnmarshalText reads SCHEME://HOST or SCHEME://HOST:PORT. Its errors do not
// quote the text, because a password may stand where none should, unless it is
// plainly a host that lacks its scheme.
func (s *Server) UnmarshalText(text []byte) error {
	scheme, rest, _ := strings.Cut(string(text), ":")
	for _, row := range schemes {
		if !strings.EqualFold(scheme, row.name) {
			continue
		}
		if row.port == 0 {
			return fmt.Errorf("the scheme %s: is not in this version yet", row.name)
		}
		rest, ok := strings.CutPrefix(rest, "//")
		if !ok {
			return errServer
		}
		host, port, err := hostPort(rest, row.port)
		if err != nil {
			return err
		}
		*s = Server{row.name, host, port}
		return nil
	}
	if url := withScheme(string(text)); url != "" {
		return fmt.Errorf("%w; try %q", errServer, url)
	}
	return errServer
}

// withScheme returns text with the scheme it probably lacks, or "" if it is not
// plainly a host. One label alone might be a password.
func withScheme(text string) string {
	host, port, err := hostPort(text, 465)
	const plain = "abcdefghijklmnopqrstuvwxyz0123456789.-"
	if err != nil || strings.Trim(strings.ToLower(text), plain+":") != "" || !strings.Contains(host, ".") && host != "localhost" {
		return ""
	}
	if port != 465 {
		return SchemeStartTLS + "://" + text
	}
	return SchemeTLS + "://" + text
}

// hostPort splits what follows the scheme; port is the one that holds if the
// text has none.
func hostPort(s string, port int) (string, int, error) {
	switch {
	case strings.Contains(s, "@"):
		return "", 0, errors.New("a server has no user or password in it; use user and secret")
	case strings.ContainsAny(s, "/?#"):
		return "", 0, errors.New("a server ends after host and port; no path, no query")
	}
	host, digits, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, digits, hasPort = s[:i], s[i+1:], true
	}
	if hasPort {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 {
			return "", 0, errors.New("a server's port is a number from 1 to 65535")
		}
		port = int(n)
	}
	if strings.HasPrefix(host, "[") {
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || !ip.Is6() || host[len(host)-1] != ']' || ip.Zone() != "" && !isDomain(ip.Zone()) {
			return "", 0, errors.New("only an IPv6 address stands in brackets")
		}
		return ip.String(), port, nil
	}
	if strings.Contains(host, ":") {
		return "", 0, errors.New("an IPv6 address stands in brackets, as in smtps://[2001:db8::1]:465")
	}
	host, ok := canonicalHost(host)
	if !ok {
		return "", 0, errors.New("the server's host is not a host name")
	}
	return host, port, nil
}

// canonicalHost returns the form of a host name in which it is looked up and
// compared.
func canonicalHost(host string) (string, bool) {
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		host = ascii
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ok := len(host) <= 253 && !strings.HasPrefix(host, "[") && isDomain(host)
	return host, ok
}

// String returns the server as a URL, with its port.
func (s Server) String() string {
	return s.Scheme + "://" + s.Address()
}

// Address returns HOST:PORT, to dial.
func (s Server) Address() string {
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}
