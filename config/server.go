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

// A Server is a next hop, given as a URL. Use UnmarshalText to make one: then its fields
// can be dialled, opened or run without further checks.
type Server struct {
	Scheme  string // a row of Schemes
	Host    string // lower case, ASCII; an IPv6 address has no brackets; a name that begins with _ has SRV records
	Port    int    // 0: the SRV records have the port
	Path    string // of the Unix socket
	Command string // a program and its arguments, for process.Argv
}

// A Kind says how a Server is reached.
type Kind uint8

// The kinds of servers.
const (
	Host    Kind = iota // by TCP at Host and Port
	Socket              // by the Unix socket at Path
	Command             // by the stdin and stdout of Command
)

// readers has for each kind the function that reads the text after the scheme's colon.
var readers = [...]func(s *Server, rest string) error{Host: host, Socket: path, Command: command}

// A Scheme is a row of Schemes.
type Scheme struct {
	Name string
	Kind Kind
	Port int // the default port of a Host
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

// The schemes that the code itself uses.
const (
	SchemeTLS      = "smtps"
	SchemeStartTLS = "smtp"
)

// Schemes has all schemes. Only a scheme of the kind Host with NoTLS sends mail in clear
// over a network.
//
// To add a scheme, add a row here, and its line in sendoff.toml(5), which TestManualSchemes
// compares with the rows. For a new kind, also add a constant and a reader above, and a
// case in dial.Connect.
var Schemes = [...]Scheme{
	{SchemeTLS, Host, 465, ImplicitTLS, false, "TLS from the start"},
	{SchemeStartTLS, Host, 587, StartTLS, false, "STARTTLS, which the server must offer"},
	{"smtp+plain", Host, 25, NoTLS, false, "no TLS"},
	{"unix", Socket, 0, NoTLS, false, "SMTP on a Unix socket"},
	{"lmtp", Host, 24, NoTLS, true, "LMTP, no TLS"},
	{"lmtp+unix", Socket, 0, NoTLS, true, "LMTP on a Unix socket"},
	{"pipe", Command, 0, NoTLS, false, "SMTP on a command's input and output"},
}

// Odd returns, for people, why port does not fit s; "": port fits, or we do not know.
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

// UnmarshalText reads SCHEME://HOST, SCHEME://HOST:PORT, SCHEME:PATH or SCHEME:COMMAND. Its
// errors do not quote the text, because somebody may have put a password there. The only
// exception is a text that is clearly a host without a scheme.
func (s *Server) UnmarshalText(text []byte) error {
	scheme, rest, colon := strings.Cut(string(text), ":")
	for _, row := range Schemes {
		if colon && strings.EqualFold(scheme, row.Name) {
			server := Server{Scheme: row.Name, Port: row.Port}
			if err := readers[row.Kind](&server, rest); err != nil {
				return err
			}
			*s = server
			return nil
		}
	}
	if url := withScheme(string(text)); url != "" {
		return fmt.Errorf("%w; try %q", errServer, url)
	}
	return errServer
}

// host reads //HOST or //HOST:PORT. Other programs write lmtp:HOST, so the slashes may be
// missing with lmtp.
func host(s *Server, rest string) (err error) {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok && s.Scheme != "lmtp" {
		return errServer
	}
	s.Host, s.Port, err = hostPort(rest, s.Port)
	return err
}

// path reads a path; "//" before the path is ignored.
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

// withScheme returns text with the scheme that probably is missing; "" if text is not
// clearly a host. A single label is not: it could be a password.
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

// hostPort splits the text after the scheme into host and port. port is the default.
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

// canonicalHost returns a host name in the form that is looked up and compared; false: it
// is no host name.
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

// Way returns the row of the server's scheme.
//
//go:noinline
func (s Server) Way() Scheme {
	for _, row := range Schemes {
		if row.Name == s.Scheme {
			return row
		}
	}
	return Scheme{Name: s.Scheme, TLS: ImplicitTLS} // for the zero Server: it must never be used without TLS
}

// Kind returns the kind of the server's scheme.
//
//go:noinline
func (s Server) Kind() Kind { return s.Way().Kind }

// IsLocalhost reports whether name always means this machine (RFC 6761 section 6.3).
func IsLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// Local reports whether the server is on this machine according to the configuration: a
// socket, a loopback address or localhost.
func (s Server) Local() bool {
	ip, err := netip.ParseAddr(s.Host)
	return s.Kind() == Socket || IsLocalhost(s.Host) || err == nil && ip.IsLoopback()
}

// String returns the server as a URL with its port. Of a command it shows only the program,
// because the other words may be secret.
func (s Server) String() string {
	if s.Kind() != Host {
		return s.Scheme + ":" + s.Name()
	}
	return s.Scheme + "://" + s.Address()
}

// Address returns HOST:PORT; only HOST if the SRV records have the port.
func (s Server) Address() string {
	if s.Port == 0 {
		return s.Host
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Identity returns whom we trust with the secret: the host, for all its ports, or the
// socket or command. A secret for one Identity is never sent to another.
func (s Server) Identity() string {
	if s.Kind() != Host {
		return s.Scheme + ":" + s.Path + s.Command
	}
	return s.Host
}

// Name returns a short name for the server: its host, its socket, or the program of its
// command.
func (s Server) Name() string {
	if s.Kind() == Command {
		argv, _ := process.Argv(s.Command, "")
		return filepath.Base(argv[0])
	}
	return s.Host + s.Path
}
