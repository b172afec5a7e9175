// Package discover finds the submission server of a mail address, and says who vouches for
// that server. It asks name servers and web servers, but no person, and knows no secrets.
//
//	Address ── Sources, one after the other ── Finding ── Complete ── the user name
//
// Each source is a row of Sources; to add one, add its function and a row. To add a
// provider, add a row to the table in providers.go.
//
// Errors: if a source does not know the domain, or cannot be asked, the error has no kind.
// status.Config means that the provider is known but cannot be used, so that no other
// source need be asked.
package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A Source is a place where the server of a domain may be found.
type Source struct {
	Name string // the name for people
	None string // says that the source does not know DOMAIN
	Ask  string // the question to a person whether the source may be asked; "": it may
	look func(*Finder, context.Context) (*Finding, error)
}

// Sources has all sources. All are asked at the same time, except the first, which needs no
// network, and those that need a person's consent. The result of the first source in order
// that knows a server counts, if the person agrees.
//
//	                 who vouches for the server
//	the table        this program
//	SRV              its certificate, if its name lies in the domain; else nobody
//	autoconfig       the certificate of the domain; nobody, if it leads to another
//	MX               nobody
//	probe            the server's certificate, as its name lies in the domain
//	ISPDB            Mozilla
var Sources = [...]Source{
	{"known provider", "not a known provider", "", (*Finder).table},
	{"SRV records", "no SRV records", "", (*Finder).srv},
	{"autoconfig", "no autoconfig document", "", (*Finder).autoconfig},
	{"MX records", "no MX records of a known provider", "", (*Finder).mx},
	{"usual names", "no server at smtp., mail. or submission.DOMAIN", "", (*Finder).probe},
	{"Thunderbird's database", "not in Thunderbird's database",
		"Look up DOMAIN in Thunderbird's server database? This sends the domain name to " + ispdbHost, (*Finder).ispdb},
}

// Start asks the source, and returns a function that waits for the answer until ctx ends.
// The error is a line for people.
func (s Source) Start(ctx context.Context, f *Finder) (wait func() (*Finding, error)) {
	answer := start(ctx, func() (*Finding, error) { return s.look(f, ctx) })
	return func() (*Finding, error) {
		found, err := answer()
		switch {
		case errors.Is(err, errUnknown):
			err = errors.New(strings.ReplaceAll(s.None, "DOMAIN", f.ASCII))
		case err != nil && status.KindOf(err) != status.Config:
			err = fmt.Errorf("%s: %w", s.Name, err)
		}
		return found, err
	}
}

// start calls ask in a goroutine, and returns a function that waits for the result until
// ctx ends.
func start(ctx context.Context, ask func() (*Finding, error)) (wait func() (*Finding, error)) {
	type answer struct {
		found *Finding
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		found, err := ask()
		answers <- answer{found, err}
	}()
	return func() (*Finding, error) {
		select {
		case a := <-answers:
			return a.found, a.err
		case <-ctx.Done():
			return nil, errors.New("no answer in time")
		}
	}
}

// A Login says how a provider's server expects users to log in.
type Login int

// The logins.
const (
	Password    Login = iota // also if nothing is known
	AppPassword              // a password, token or key that the provider generates for programs
	OAuth2                   // an access token
	Google                   // an app password, or an access token of Google
	Microsoft                // an access token of Microsoft, or a password if that is allowed
)

// A Finding is a server that a source has found.
type Finding struct {
	Server   config.Server
	User     string // with placeholders until Complete; "": unknown
	Login    Login
	Remark   string // what a person has to know about the password
	Unproven string // why nothing proves that the server belongs to the domain; "": something proves it
}

// An Address is the mail address whose server is to be found.
type Address struct {
	envelope.Address
	ASCII string // the domain in ASCII and lower case, as name servers know it
}

// NewAddress returns a as an Address. The domain must contain a dot.
func NewAddress(a envelope.Address) (Address, error) {
	ascii, err := idna.Lookup.ToASCII(a.Domain())
	if err != nil || !strings.Contains(ascii, ".") {
		return Address{}, fmt.Errorf("%q is not an address with a domain", a)
	}
	return Address{a, strings.ToLower(ascii)}, nil
}

// fill replaces the placeholders in text by the parts of the address.
func (a Address) fill(text string) string {
	return strings.NewReplacer(wholeAddress, a.Address.String(), localPart, a.Local(), domainPart, a.ASCII).Replace(text)
}

// A Finder finds the server of an address.
type Finder struct {
	Address
	Try func(context.Context, config.Server) error // opens a session without a login
}

// Patience is the time limit for all sources together, and for each source that needs
// consent. tryTime is the limit for trying a server, and offlineTime for name servers; both
// are shorter, so that a silent host does not use up the time of all.
const (
	Patience    = 10 * time.Second
	tryTime     = 7 * time.Second
	offlineTime = 5 * time.Second
)

// errUnknown says that a source does not know the domain.
var errUnknown = errors.New("nothing")

// ErrOffline says that no name server answers, so that nothing can be found.
var ErrOffline = errors.New("no network")

// lookedUp returns the error of a DNS look-up; nil also if there are no records.
func lookedUp(name string, err error) error {
	var e *net.DNSError
	switch {
	case !errors.As(err, &e):
		return err
	case e.IsNotFound:
		return nil
	}
	return status.LookUp(name, err)
}

// rooted returns name with a final dot, so that the resolver adds no search domain of this
// machine.
func rooted(name string) string { return name + "." }

// LookupNetIP looks up a server that is tried. A name with a dot is looked up without
// search domains.
func LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.Contains(host, ".") && !strings.HasSuffix(host, ".") {
		host = rooted(host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// Offline returns an error if no name server answers, neither about the domain nor about
// the root; nil: one has answered. Without a network, some resolvers do not answer, and
// others answer with a failure.
func (f *Finder) Offline(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, offlineTime)
	defer cancel()
	root := make(chan error, 1)
	go func() {
		_, err := net.DefaultResolver.LookupNS(ctx, rooted(""))
		root <- lookedUp("", err)
	}()
	_, err := net.DefaultResolver.LookupMX(ctx, rooted(f.ASCII))
	if err = lookedUp(f.ASCII, err); err == nil || <-root == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrOffline, err)
}

// table searches the table of providers for the domain.
func (f *Finder) table(context.Context) (*Finding, error) {
	p := providerOf(f.ASCII, func(p *provider) string { return p.domains })
	if p == nil {
		return nil, errUnknown
	}
	return p.finding()
}

// finding returns a provider as a Finding; an error if the provider has no server.
func (p *provider) finding() (*Finding, error) {
	f := &Finding{User: p.user, Login: p.login, Remark: p.remark}
	if p.server == "" {
		return nil, status.Config.Errorf("%s", p.remark)
	}
	return f, f.Server.UnmarshalText([]byte(p.server))
}

// services are the names of SRV records for submission; TLS from the first octet comes
// first (RFC 8314 section 5.1).
var services = [...]struct{ name, scheme string }{
	{"submissions", config.SchemeTLS},
	{"submission", config.SchemeStartTLS},
}

// maxRecords is how many SRV records of a domain are tried.
const maxRecords = 8

// srv looks up SRV records (RFC 6186), and tries their servers in the order of priority and
// weight. If none works, it returns the first, so that a person sees the error. The records
// are not signed: a person has to judge a host outside the domain (section 6).
func (f *Finder) srv(ctx context.Context) (*Finding, error) {
	var all []*Finding
	for _, service := range services {
		_, records, err := net.DefaultResolver.LookupSRV(ctx, service.name, "tcp", rooted(f.ASCII))
		if err := lookedUp("_"+service.name+"._tcp."+f.ASCII, err); err != nil {
			return nil, err
		}
		for _, r := range records {
			all = append(all, f.recorded(service.scheme, r)...)
		}
	}
	if len(all) == 0 {
		return nil, errUnknown
	}
	all = all[:min(len(all), maxRecords)]
	if i, _ := f.first(ctx, all); i >= 0 {
		return all[i], nil
	}
	return all[0], nil
}

// recorded returns the servers that an SRV record may mean, the most probable first; none
// if the record says that there is no such service. Many people write port 465, which is
// TLS from the first octet, under the name of STARTTLS, and port 587 under the other name.
func (f *Finder) recorded(scheme string, r *net.SRV) (all []*Finding) {
	schemes := []string{scheme}
	switch {
	case r.Port == 465 && scheme != config.SchemeTLS:
		schemes = []string{config.SchemeTLS, scheme}
	case (r.Port == 587 || r.Port == 25) && scheme != config.SchemeStartTLS:
		schemes = []string{config.SchemeStartTLS, scheme}
	}
	host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
	for _, scheme := range schemes {
		found := &Finding{}
		if found.Server.UnmarshalText(fmt.Appendf(nil, "%s://%s:%d", scheme, host, r.Port)) != nil {
			return nil
		}
		if !within(host, f.ASCII) {
			found.Unproven = fmt.Sprintf("the SRV records of %s name %s, outside the domain; DNS can be changed on the way, so nothing proves that", f.ASCII, host)
		}
		all = append(all, found)
	}
	return all
}

// first tries servers and returns the index of the first in order that works. Servers at
// the same address are tried one after the other, all others at the same time. If none
// works, the index is -1; the error is that of the first server that is not safe, otherwise
// that of the first server.
func (f *Finder) first(ctx context.Context, all []*Finding) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	outcomes := make([]chan error, len(all))
	at := make(map[string][]int)
	for i, found := range all {
		outcomes[i] = make(chan error, 1)
		address := found.Server.Address()
		at[address] = append(at[address], i)
	}
	for _, same := range at {
		go func() {
			for _, i := range same {
				outcomes[i] <- f.Try(ctx, all[i].Server)
			}
		}()
	}
	var unsafe, other error
	for i, found := range all {
		err := <-outcomes[i]
		switch {
		case err == nil:
			return i, nil
		case status.KindOf(err) == status.Insecure:
			unsafe = cmp.Or(unsafe, fmt.Errorf("%s: %w", found.Server, err))
		default:
			other = cmp.Or(other, err)
		}
	}
	return -1, cmp.Or(unsafe, other)
}

// autoconfig asks both web servers of the domain, at the same time.
func (f *Finder) autoconfig(ctx context.Context) (*Finding, error) {
	var waits [len(domainDocuments)]func() (*Finding, error)
	for i, address := range domainDocuments {
		waits[i] = start(ctx, func() (*Finding, error) { return f.fetch(ctx, address, f.ASCII) })
	}
	var errs []string
	for i, wait := range waits {
		found, err := wait()
		if err == nil {
			return found, nil
		}
		host, _, _ := strings.Cut(strings.TrimPrefix(domainDocuments[i], "https://"), "/")
		host = strings.ReplaceAll(host, "DOMAIN", f.ASCII)
		if errors.As(err, new(*net.DNSError)) {
			if err = lookedUp(host, err); err == nil {
				continue // the host does not exist
			}
		}
		if !errors.Is(err, errUnknown) {
			errs = append(errs, host+": "+err.Error())
		}
	}
	if errs == nil {
		return nil, errUnknown
	}
	return nil, errors.New(strings.Join(errs, "; "))
}

// Complete adds what the table of providers knows about the server, and sets User to the
// name with which a logs in: the whole address unless something else is known (RFC 6186
// section 4); "": only the person knows it.
func (f *Finding) Complete(a Address) {
	p := providerAt(f.Server)
	if p == nil {
		f.User = cmp.Or(f.User, wholeAddress)
	} else if known, err := p.finding(); err == nil {
		f.User, f.Login, f.Remark = cmp.Or(f.User, known.User), known.Login, known.Remark
	}
	f.User = a.fill(f.User)
}

// mx finds the provider of a domain by the hosts that receive the domain's mail.
func (f *Finder) mx(ctx context.Context) (*Finding, error) {
	records, err := net.DefaultResolver.LookupMX(ctx, rooted(f.ASCII))
	if err := lookedUp(f.ASCII, err); err != nil {
		return nil, err
	}
	for _, r := range records {
		host := strings.ToLower(strings.TrimSuffix(r.Host, "."))
		p := providerOf(host, func(p *provider) string { return p.mx })
		if p == nil {
			continue
		}
		found, err := p.finding()
		if err == nil {
			found.Unproven = fmt.Sprintf("mail for %s goes to %s, so %s seems to be its provider; DNS can be changed on the way, so nothing proves that", f.ASCII, host, p.name)
		}
		return found, err
	}
	return nil, errUnknown
}

func (f *Finder) ispdb(ctx context.Context) (*Finding, error) {
	return f.fetch(ctx, ispdb, ispdbDomain)
}

// prefixes are added to a domain to get the usual names of its server.
var prefixes = [...]string{"smtp.", "mail.", "submission.", ""}

// probe tries the usual names. A server counts only if its certificate verifies.
func (f *Finder) probe(ctx context.Context) (*Finding, error) {
	var all []*Finding
	for _, service := range services {
		for _, prefix := range prefixes {
			found := &Finding{}
			if found.Server.UnmarshalText([]byte(service.scheme+"://"+prefix+f.ASCII)) == nil {
				all = append(all, found)
			}
		}
	}
	i, err := f.first(ctx, all)
	switch {
	case i >= 0:
		return all[i], nil
	case status.KindOf(err) == status.Insecure:
		return nil, err // a server exists, but is not safe
	}
	return nil, errUnknown
}

// Dial connects to web servers and to servers that are tried; nil: with the system's
// dialer. Only tests set it.
var Dial func(ctx context.Context, network, address string) (net.Conn, error)
