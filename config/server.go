package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"sendoff/submit/process"
)

// A Server is a next hop, as a URL names it. Only UnmarshalText makes one, so
// its parts are fit to be dialled, opened or run as they are.
type Server struct {
	Scheme  string // a row of Schemes
	Host    string // in lower case and ASCII, an IPv6 address without brackets; a name that begins with _ is one of SRV records
	Port    int    // 0: the SRV records say
	Path    string // of a Socket
	Command string // of a Command, which process.Argv splits
}

// A Kind is what sort of thing a Server is.
type Kind uint8

// The kinds of servers.
const (
	Host    Kind = iota // Host and Port, which name servers and proxies know
	Socket              // a Unix socket at Path, on this machine
	Command             // Command, which speaks on its standard input and output
)

// readers is how each kind reads what stands behind the colon.
var readers = [...]func(s *Server, rest string) error{Host: host, Socket: path, Command: command}

// A Scheme is a way to a next hop.
type Scheme struct {
	Name string
	Kind Kind
	Port int // of a Host, if none is given
	TLS  TLS
	LMTP bool
	Help string
}

// TLS says how a Scheme protects a connection.
type TLS uint8

// The ways to protect a connection.
const (
	NoTLS       TLS = iota
	ImplicitTLS     // from the first octet (RFC 8314)
	StartTLS        // STARTTLS, required (RFC 3207)
)

// The schemes that are written in code.
const (
	SchemeTLS      = "smtps"
	SchemeStartTLS = "smtp"
)

// Schemes is the table of ways to a next hop. Nothing but a network scheme
// with NoTLS sends mail in clear where others may read along.
//
// To add a scheme: a row here, and its line in sendoff.toml(5), which
// TestManualSchemes holds against the rows. If it is of a new kind as well: a
// constant and a reader above, and a case in dial.Connect.
var Schemes = [...]Scheme{
	{SchemeTLS, Host, 465, ImplicitTLS, false, "TLS from the start"},
	{SchemeStartTLS, Host, 587, StartTLS, false, "STARTTLS, which the server must offer"},
	{"smtp+plain", Host, 25, NoTLS, false, "no TLS"},
	{"unix", Socket, 0, NoTLS, false, "SMTP on a Unix socket"},
	{"lmtp", Host, 24, NoTLS, true, "LMTP, no TLS"},
	{"lmtp+unix", Socket, 0, NoTLS, true, "LMTP on a Unix socket"},
	{"pipe", Command, 0, NoTLS, false, "SMTP on a command's input and output"},
}

// Odd returns, for people, why a server at port hardly speaks as s says; "" where
// nothing is known against it.
func (s Scheme) Odd(port int) string {
	switch {
	case port == 465 && s.TLS != ImplicitTLS:
		return "port 465 is for TLS from the start, which is " + SchemeTLS + "://"
	case (port == 25 || port == 587) && s.TLS == ImplicitTLS:
		return fmt.Sprintf("port %d begins without TLS, which is %s://", port, SchemeStartTLS)
	}
	return ""
}

var errServer = errors.New("a server is written smtps://HOST, smtp://HOST or smtp+plain://HOST, with :PORT if need be")

// UnmarshalText reads SCHEME://HOST, SCHEME://HOST:PORT, SCHEME:PATH or
// SCHEME:COMMAND. Its errors do not quote the text, because a password may
// stand where none should, unless it is plainly a host that lacks its scheme.
func (s *Server) UnmarshalText(text []byte) error {
	scheme, rest, colon := strings.Cut(string(text), ":")
	for _, row := range Schemes {
		if colon && strings.EqualFold(scheme, row.Name) {
			made := Server{Scheme: row.Name, Port: row.Port}
			if err := readers[row.Kind](&made, rest); err != nil {
				return err
			}
			*s = made
			return nil
		}
	}
	if url := withScheme(string(text)); url != "" {
		return fmt.Errorf("%w; try %q", errServer, url)
	}
	return errServer
}

// host reads //HOST or //HOST:PORT; lmtp has been written without the slashes
// elsewhere.
func host(s *Server, rest string) (err error) {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok && s.Scheme != "lmtp" {
		return errServer
	}
	s.Host, s.Port, err = hostPort(rest, s.Port)
	return err
}

// path reads a path, as it is or behind //.
func path(s *Server, rest string) error {
	if strings.HasPrefix(rest, "///") {
		rest = rest[2:]
	}
	if !strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "//") || strings.ContainsFunc(rest, unicode.IsControl) {
		return errors.New("a socket is written as a path that begins with /, as in unix:/run/sendoff/submit.sock")
	}
	s.Path = rest
	return nil
}

// command reads a program and its arguments.
func command(s *Server, rest string) error {
	if _, err := process.Argv(rest, ""); err != nil {
		return err
	}
	s.Command = rest
	return nil
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
			return "", 0, errors.New("only an IPv6 address is written in brackets")
		}
		return ip.String(), port, nil
	}
	if strings.Contains(host, ":") {
		return "", 0, errors.New("write an IPv6 address in brackets, as in smtps://[2001:db8::1]:465")
	}
	host, ok := canonicalHost(host)
	if !ok {
		return "", 0, errors.New("the server's host is not a host name")
	}
	if strings.HasPrefix(host, "_") {
		if hasPort {
			return "", 0, errors.New("a server whose name begins with _ has no port: its SRV records say it")
		}
		port = 0
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

// Way returns the server's scheme.
func (s Server) Way() Scheme {
	for _, row := range Schemes {
		if row.Name == s.Scheme {
			return row
		}
	}
	return Scheme{Name: s.Scheme, TLS: ImplicitTLS} // a zero Server: nothing goes in clear by mistake
}

// Kind returns what sort of thing the server is, by its scheme.
func (s Server) Kind() Kind { return s.Way().Kind }

// IsLocalhost reports whether name is this machine's by its meaning, which no
// name server changes (RFC 6761 section 6.3).
func IsLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// Local reports whether the server is on this machine, by what the configuration
// says of it: a socket, a loopback address or localhost.
func (s Server) Local() bool {
	ip, err := netip.ParseAddr(s.Host)
	return s.Kind() == Socket || IsLocalhost(s.Host) || err == nil && ip.IsLoopback()
}

// String returns the server as a URL, with its port; of a command only the
// program, because its other words may be secret.
func (s Server) String() string {
	if s.Kind() != Host {
		return s.Scheme + ":" + s.Name()
	}
	return s.Scheme + "://" + s.Address()
}

// Address returns HOST:PORT, or HOST alone if there is no port yet.
func (s Server) Address() string {
	if s.Port == 0 {
		return s.Host
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Identity returns whom the server is trusted as: its host, whatever the port,
// or its socket or command. A secret for one is not for another.
func (s Server) Identity() string {
	if s.Kind() != Host {
		return s.Scheme + ":" + s.Path + s.Command
	}
	return s.Host
}

// Name returns what the server is called in a few words: its host, its socket,
// or the program of its command.
func (s Server) Name() string {
	if s.Kind() == Command {
		argv, _ := process.Argv(s.Command, "")
		return filepath.Base(argv[0])
	}
	return s.Host + s.Path
}
