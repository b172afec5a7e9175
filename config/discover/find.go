// Package discover finds the submission server of a mail address, and says what
// vouches for it. It asks name servers and web servers, and no person; of secrets
// it knows nothing.
//
//	Address ── Sources, one after the other ── Finding ── Complete ── the user name
//
// Each source is a row of Sources; to add one, add its function and a row. To add a
// provider, add a row to the table in providers.go.
//
// Errors: that a source does not know the domain, and what keeps it from being
// asked, are errors without a kind of their own; status.Config means that the
// provider is known and cannot be used, so that no other source need be asked.
package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Source is a service that may know the server of a domain.
type Source struct {
	Name string // to people
	Look func(*Finder, context.Context) (*Finding, error)
	Ask  string // the question whether it may be asked, with DOMAIN for the domain; "" if it may
}

// Sources is where a domain's server is looked for, in that order. The first
// that knows one is believed, if the person agrees.
//
//	                 who vouches for the server
//	the table        this program
//	SRV              its certificate, if its name lies in the domain; else nobody
//	autoconfig       the certificate of the domain; nobody, if it leads to another
//	MX               nobody
//	ISPDB            Mozilla
//	probe            the server's certificate, as its name lies in the domain
var Sources = [...]Source{
	{"the table of providers", (*Finder).table, ""},
	{"SRV records", (*Finder).srv, ""},
	{"autoconfig", (*Finder).autoconfig, ""},
	{"MX records", (*Finder).mx, ""},
	{"the ISPDB", (*Finder).ispdb, "ask Mozilla's database, at " + ispdbHost + "? It is told the domain DOMAIN"},
	{"usual names", (*Finder).probe, ""},
}

// A Login is how a server is logged in to, as far as its provider is known.
type Login int

// The logins.
const (
	Password    Login = iota // also where nothing is known
	AppPassword              // a password, token or key that the provider makes for programs
	OAuth2                   // an access token
	Google                   // an app password, or an access token of Google's
	Microsoft                // an access token of Microsoft's, or a password where that is allowed
)

// A Finding is a server that a source knows.
type Finding struct {
	Server   config.Server
	User     string // with placeholders, until Complete has filled them in; "" is not known
	Login    Login
	Remark   string // what a person has to know about the password
	Unproven string // why nothing proves that the server is the domain's; "" if something does
}

// An Address is the mail address whose server is looked for.
type Address struct {
	envelope.Address
	ASCII string // its domain, as name servers know it, in lower case
}

// NewAddress returns a as an Address, if it has a full domain.
func NewAddress(a envelope.Address) (Address, error) {
	ascii, err := idna.Lookup.ToASCII(a.Domain())
	if err != nil || !strings.Contains(ascii, ".") {
		return Address{}, fmt.Errorf("%q is not an address with a domain", a)
	}
	return Address{a, strings.ToLower(ascii)}, nil
}

// fill puts the parts of the address in place of the placeholders.
func (a Address) fill(text string) string {
	return strings.NewReplacer(wholeAddress, a.Address.String(), localPart, a.Local(), domainPart, a.ASCII).Replace(text)
}

// A Finder looks for the server of an address.
type Finder struct {
	Address
	Try func(context.Context, config.Server) error // opens a session, without a login
}

// answerTime bounds a question to name servers or to a web server, and the probe: a host
// that does not answer by then has no server.
const answerTime = 10 * time.Second

// errUnknown says that a source does not know the domain.
var errUnknown = errors.New("nothing")

// table finds the domain in the table of providers.
func (f *Finder) table(context.Context) (*Finding, error) {
	p := providerOf(f.ASCII, func(p *provider) string { return p.domains })
	if p == nil {
		return nil, errUnknown
	}
	return p.finding()
}

// finding returns the row as a finding; an error if the provider has no server.
func (p *provider) finding() (*Finding, error) {
	f := &Finding{User: p.user, Login: p.login}
	if p.remark != "" {
		f.Remark = p.name + " " + p.remark
	}
	if p.server == "" {
		return nil, status.Config.Errorf("%s %s", p.name, p.remark)
	}
	return f, f.Server.UnmarshalText([]byte(p.server))
}

// services are the names of SRV records for submission: the one with TLS from
// the start before the other (RFC 8314 section 5.1).
var services = [...]struct{ name, scheme string }{
	{"submissions", config.SchemeTLS},
	{"submission", config.SchemeStartTLS},
}

// srv asks for SRV records (RFC 6186). They are not signed: a host outside the
// domain is for the person to judge (section 6).
func (f *Finder) srv(ctx context.Context) (*Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var first *Finding // of those that cannot be used
	for _, service := range services {
		_, records, err := net.DefaultResolver.LookupSRV(ctx, service.name, "tcp", f.ASCII)
		if err != nil && !notFound(err) {
			return nil, status.LookUp("_"+service.name+"._tcp."+f.ASCII, err)
		}
		for _, r := range records {
			host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
			found := &Finding{}
			if host == "" || found.Server.UnmarshalText(fmt.Appendf(nil, "%s://%s:%d", service.scheme, host, r.Port)) != nil {
				continue // a lone dot: the service is not offered
			}
			if !within(host, f.ASCII) {
				found.Unproven = fmt.Sprintf("the SRV records of %s name %s, outside the domain, and nothing proves that nobody has changed them on the way", f.ASCII, host)
			}
			if f.speaks(ctx, found) {
				return found, nil
			}
			first = cmp.Or(first, found)
		}
	}
	if first != nil {
		return first, nil // the person sees what is wrong with it
	}
	return nil, errUnknown
}

// speaks reports whether the server can be used as its SRV record says. If its port
// hardly goes with the service, that is tried, with TLS from the start before
// STARTTLS: a server without TLS from the start says so at once.
func (f *Finder) speaks(ctx context.Context, found *Finding) bool {
	if found.Server.Way().Odd(found.Server.Port) == "" {
		return true
	}
	for _, scheme := range []string{config.SchemeTLS, config.SchemeStartTLS} {
		server := found.Server
		server.Scheme = scheme
		if f.Try(ctx, server) == nil {
			found.Server = server
			return true
		}
	}
	return false
}

func (f *Finder) autoconfig(ctx context.Context) (*Finding, error) {
	var errs []string
	for _, address := range domainDocuments {
		found, err := f.fetch(ctx, address, f.ASCII)
		if err == nil {
			return found, nil
		}
		host, _, _ := strings.Cut(strings.TrimPrefix(address, "https://"), "/")
		host = strings.ReplaceAll(host, "DOMAIN", f.ASCII)
		text := host + ": " + err.Error()
		if errors.As(err, new(*net.DNSError)) {
			text = status.LookUp(host, err).Error()
		}
		errs = append(errs, text)
	}
	return nil, errors.New(strings.Join(errs, "; "))
}

// Complete adds what the table of providers knows of the server, and makes User the
// name by which a logs in there: the whole address where nobody says anything else
// (RFC 6186 section 4); "" if only the person knows it.
func (f *Finding) Complete(a Address) {
	p := providerAt(f.Server)
	if p == nil {
		f.User = cmp.Or(f.User, wholeAddress)
	} else if known, err := p.finding(); err == nil {
		f.User, f.Login, f.Remark = cmp.Or(f.User, known.User), known.Login, known.Remark
	}
	f.User = a.fill(f.User)
}

// mx finds out whose customer a domain is by who takes its mail.
func (f *Finder) mx(ctx context.Context) (*Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	records, err := net.DefaultResolver.LookupMX(ctx, f.ASCII)
	if err != nil && !notFound(err) {
		return nil, status.LookUp(f.ASCII, err)
	}
	for _, r := range records {
		host := strings.ToLower(strings.TrimSuffix(r.Host, "."))
		p := providerOf(host, func(p *provider) string { return p.mx })
		if p == nil {
			continue
		}
		found, err := p.finding()
		if err == nil {
			found.Unproven = fmt.Sprintf("mail for %s goes to %s, so it seems to be with %s; nothing proves that nobody has changed this answer on the way", f.ASCII, host, p.name)
		}
		return found, err
	}
	return nil, errUnknown
}

func (f *Finder) ispdb(ctx context.Context) (*Finding, error) {
	return f.fetch(ctx, ispdb, ispdbDomain)
}

// prefixes begin the names of hosts on which a domain's server often is.
var prefixes = [...]string{"smtp.", "mail.", "submission.", ""}

// probe tries the usual names, all at once. A server counts if its certificate
// verifies, and the first in order is taken.
func (f *Finder) probe(ctx context.Context) (*Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var tried []*Finding
	for _, service := range services {
		for _, prefix := range prefixes {
			found := &Finding{}
			if found.Server.UnmarshalText([]byte(service.scheme+"://"+prefix+f.ASCII)) == nil {
				tried = append(tried, found)
			}
		}
	}
	outcomes := make([]chan error, len(tried))
	for i, found := range tried {
		outcomes[i] = make(chan error, 1)
		go func() { outcomes[i] <- f.Try(ctx, found.Server) }()
	}
	err := errUnknown
	for i, found := range tried {
		switch wrong := <-outcomes[i]; {
		case wrong == nil:
			return found, nil
		case status.KindOf(wrong) == status.Insecure && err == errUnknown:
			err = fmt.Errorf("%s: %w", found.Server, wrong) // a server is there, and is not safe
		}
	}
	return nil, err
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// Dial connects to web servers and to servers on trial; nil: as the system does. Only
// the program that tests run sets it.
var Dial func(ctx context.Context, network, address string) (net.Conn, error)
