package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A source is somebody who may know the server of a domain.
type source struct {
	name string
	look func(*finder, context.Context) (*finding, error)
	ask  string // what it takes a person's consent for; DOMAIN is the domain
}

// sources is where a domain's server is looked for, in that order. The first
// who knows one is believed, if the person agrees.
//
//	                 who vouches for the server
//	the table        this program
//	SRV              its certificate, if its name lies in the domain; else nobody
//	autoconfig       the certificate of the domain; nobody, if it leads elsewhere
//	MX               nobody
//	ISPDB            Mozilla
//	probe            the server's certificate, as its name lies in the domain
var sources = [...]source{
	{"the table of providers", (*finder).table, ""},
	{"SRV records", (*finder).srv, ""},
	{"autoconfig", (*finder).autoconfig, ""},
	{"MX records", (*finder).mx, ""},
	{"the ISPDB", (*finder).ispdb, "ask Mozilla's database, at " + ispdbHost + "? It is told the domain DOMAIN"},
	{"usual names", (*finder).probe, ""},
}

// A finding is a server that a source knows.
type finding struct {
	server   config.Server
	user     string // with placeholders; "" is not known
	login    login
	remark   string
	from     string // the source
	unproven string // why nothing proves that the server is the domain's; "" if something does
}

// who is whose server is looked for.
type who struct {
	address envelope.Address
	ascii   string // its domain, as name servers know it
}

func newWho(a envelope.Address) (who, error) {
	ascii, err := idna.Lookup.ToASCII(a.Domain())
	if err != nil || !strings.Contains(ascii, ".") {
		return who{}, fmt.Errorf("%q is not an address with a domain", a)
	}
	return who{a, strings.ToLower(ascii)}, nil
}

// fill puts the parts of the address in place of the placeholders.
func (w who) fill(text string) string {
	return strings.NewReplacer(wholeAddress, w.address.String(), localPart, w.address.Local(), domainPart, w.ascii).Replace(text)
}

// A finder looks for the server of a domain.
type finder struct {
	who
	try func(context.Context, config.Server) error // opens a session, without a login
}

// lookupTime bounds a question to the name servers.
const lookupTime = 10 * time.Second

// errNothing says that a source does not know the domain.
var errNothing = errors.New("nothing")

// table finds the domain in the table of providers.
func (f *finder) table(context.Context) (*finding, error) {
	p := providerOf(f.ascii, func(p *provider) string { return p.domains })
	if p == nil {
		return nil, errNothing
	}
	return p.finding()
}

func (p *provider) finding() (*finding, error) {
	f := &finding{user: p.user, login: p.login, remark: p.name + " " + p.remark}
	if p.remark == "" {
		f.remark = ""
	}
	if p.server == "" {
		return nil, status.Config.Errorf("%s %s", p.name, p.remark)
	}
	return f, f.server.UnmarshalText([]byte(p.server))
}

// services are the names of SRV records for submission: the one with TLS from
// the start before the other (RFC 8314 section 5.1).
var services = [...]struct{ name, scheme string }{
	{"submissions", config.SchemeTLS},
	{"submission", config.SchemeStartTLS},
}

// srv asks for SRV records (RFC 6186). They are not signed: a host outside the
// domain is for the person to judge (section 6).
func (f *finder) srv(ctx context.Context) (*finding, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var odd *finding
	for _, service := range services {
		_, records, err := resolver().LookupSRV(ctx, service.name, "tcp", f.ascii)
		if err != nil && !notFound(err) {
			return nil, status.LookUp("_"+service.name+"._tcp."+f.ascii, err)
		}
		for _, r := range records {
			host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
			found := &finding{}
			if host == "" || found.server.UnmarshalText(fmt.Appendf(nil, "%s://%s:%d", service.scheme, host, r.Port)) != nil {
				continue // a lone dot: the service is not offered
			}
			if !within(host, f.ascii) {
				found.unproven = fmt.Sprintf("the SRV records of %s name %s, outside the domain, and nothing proves that nobody has changed them on the way", f.ascii, host)
			}
			if f.spoken(ctx, found) {
				return found, nil
			}
			odd = cmp.Or(odd, found)
		}
	}
	if odd != nil {
		return odd, nil // the person sees what is wrong with it
	}
	return nil, errNothing
}

// spoken finds out by trying how a server speaks whose SRV record has a port that
// hardly goes with the service, and reports whether it can be had. Without TLS
// from the start a server says at once that it has none.
func (f *finder) spoken(ctx context.Context, found *finding) bool {
	if found.server.Way().Odd(found.server.Port) == "" {
		return true
	}
	for _, scheme := range []string{config.SchemeTLS, config.SchemeStartTLS} {
		server := found.server
		server.Scheme = scheme
		if f.try(ctx, server) == nil {
			found.server = server
			return true
		}
	}
	return false
}

func (f *finder) autoconfig(ctx context.Context) (*finding, error) {
	var errs []string
	for _, address := range domainDocuments {
		found, err := f.fetch(ctx, address, f.ascii)
		if err == nil {
			return found, nil
		}
		host, _, _ := strings.Cut(strings.TrimPrefix(address, "https://"), "/")
		host = strings.ReplaceAll(host, "DOMAIN", f.ascii)
		text := host + ": " + err.Error()
		switch {
		case notFound(err):
			text = host + ": no such host"
		case errors.As(err, new(*net.DNSError)):
			text = status.LookUp(host, err).Error()
		}
		errs = append(errs, text)
	}
	return nil, errors.New(strings.Join(errs, "; "))
}

// adopt adds what the table knows of a server that somebody else has named.
// The user name is the whole address where nobody says anything else (RFC 6186
// section 4).
func (found *finding) adopt() {
	p := providerAt(found.server)
	if p == nil {
		found.user = cmp.Or(found.user, wholeAddress)
		return
	}
	if of, err := p.finding(); err == nil {
		found.user, found.login, found.remark = cmp.Or(found.user, of.user), of.login, of.remark
	}
}

// mx finds out whose customer a domain is by who takes its mail.
func (f *finder) mx(ctx context.Context) (*finding, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	records, err := resolver().LookupMX(ctx, f.ascii)
	if err != nil && !notFound(err) {
		return nil, status.LookUp(f.ascii, err)
	}
	for _, r := range records {
		host := strings.ToLower(strings.TrimSuffix(r.Host, "."))
		p := providerOf(host, func(p *provider) string { return p.mx })
		if p == nil {
			continue
		}
		found, err := p.finding()
		if err == nil {
			found.unproven = fmt.Sprintf("mail for %s goes to %s, so it seems to be with %s; nothing proves that nobody has changed this answer on the way", f.ascii, host, p.name)
		}
		return found, err
	}
	return nil, errNothing
}

func (f *finder) ispdb(ctx context.Context) (*finding, error) {
	return f.fetch(ctx, ispdb, ispdbDomain)
}

// usual are the hosts of a domain on which its server often is.
var usual = [...]string{"smtp.", "mail.", "submission.", ""}

// probeTime bounds the probe: whoever does not answer by then has no server.
const probeTime = 10 * time.Second

// probe tries the usual names, all at once. A server counts if its certificate
// verifies, and the first in order is taken.
func (f *finder) probe(ctx context.Context) (*finding, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var tried []*finding
	for _, service := range services {
		for _, prefix := range usual {
			found := &finding{}
			if found.server.UnmarshalText([]byte(service.scheme+"://"+prefix+f.ascii)) == nil {
				tried = append(tried, found)
			}
		}
	}
	outcomes := make([]chan error, len(tried))
	for i, found := range tried {
		outcomes[i] = make(chan error, 1)
		go func() { outcomes[i] <- f.try(ctx, found.server) }()
	}
	err := errNothing
	for i, found := range tried {
		switch wrong := <-outcomes[i]; {
		case wrong == nil:
			return found, nil
		case status.KindOf(wrong) == status.Insecure && err == errNothing:
			err = fmt.Errorf("%s: %w", found.server, wrong) // one is there, and something is wrong with it
		}
	}
	return nil, err
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// These name variables of the environment by which tests lead questions and
// connections to servers of their own: HOST:PORT of a name server, and words
// FROM=TO with a HOST:PORT on each side. They are set by the linker, and empty
// otherwise.
var resolverVariable, routesVariable string

// resolver returns whom names are asked of.
func resolver() *net.Resolver {
	if resolverVariable == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, os.Getenv(resolverVariable))
	}}
}

// dial is net.Dialer.DialContext, but for the routes of tests.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	if routesVariable != "" {
		for word := range strings.FieldsSeq(os.Getenv(routesVariable)) {
			if from, to, _ := strings.Cut(word, "="); from == address {
				address = to
			}
		}
	}
	d := net.Dialer{Resolver: resolver()}
	return d.DialContext(ctx, network, address)
}

// Outside returns how tests lead the lookups and connections of a trial to
// their own servers; both are nil in a program that is not built for tests.
func Outside() (lookup *net.Resolver, connect func(ctx context.Context, network, address string) (net.Conn, error)) {
	if resolverVariable == "" {
		return nil, nil
	}
	return resolver(), dial
}
