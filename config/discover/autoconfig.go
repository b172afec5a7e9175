package discover

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/submit/status"
)

// Bounds of what is asked for over HTTPS.
const (
	maxDocument  = 256 << 10 // octets; real ones have some thousand
	maxRedirects = 5
)

// domainDocuments are where a domain keeps its autoconfig document, and ispdb
// where Mozilla keeps those of others. Only HTTPS is asked: what comes in clear
// may come from anybody.
var domainDocuments = [...]string{
	"https://autoconfig.DOMAIN/mail/config-v1.1.xml?emailaddress=ADDRESS",
	"https://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml",
}

const (
	ispdbDomain = "thunderbird.net"
	ispdbHost   = "autoconfig." + ispdbDomain
	ispdb       = "https://" + ispdbHost + "/v1.1/DOMAIN"
)

// An outgoing is an element outgoingServer of an autoconfig document.
type outgoing struct {
	Type           string   `xml:"type,attr"`
	Host           string   `xml:"hostname"`
	Port           string   `xml:"port"`
	Socket         string   `xml:"socketType"`
	User           string   `xml:"username"`
	Authentication []string `xml:"authentication"`
}

// parseAutoconfig reads an autoconfig document, and returns the server in it
// that speaks TLS from the start, else the first with STARTTLS; one in clear
// is not used. The user name has no character that acts on a terminal or a
// shell, but may have placeholders still.
func parseAutoconfig(r io.Reader, a Address) (*Finding, error) {
	var document struct {
		XMLName   xml.Name `xml:"clientConfig"`
		Providers []struct {
			Servers []outgoing `xml:"outgoingServer"`
		} `xml:"emailProvider"`
	}
	d := xml.NewDecoder(io.LimitReader(r, maxDocument))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return latin1{bufio.NewReader(r)}, nil }
	if err := d.Decode(&document); err != nil {
		return nil, errors.New("not an autoconfig document")
	}
	var best *Finding
	for _, p := range document.Providers {
		for _, o := range p.Servers {
			f := o.finding(a)
			if f != nil && (best == nil || f.Server.Scheme == config.SchemeTLS && best.Server.Scheme != config.SchemeTLS) {
				best = f
			}
		}
	}
	if best == nil {
		return nil, errors.New("the autoconfig document has no server with TLS")
	}
	return best, nil
}

// latin1 reads a text in ISO 8859-1 as UTF-8. So is read what names another charset, too:
// a server, a port and a placeholder are ASCII, in the places of ASCII, and nothing else
// counts.
type latin1 struct{ from io.ByteReader }

func (l latin1) Read(b []byte) (n int, err error) {
	for n+utf8.UTFMax <= len(b) {
		c, err := l.from.ReadByte()
		if err != nil {
			return n, err
		}
		n += utf8.EncodeRune(b[n:], rune(c))
	}
	return n, nil
}

// finding returns the server that o describes; nil if sendoff cannot use it.
func (o outgoing) finding(a Address) *Finding {
	scheme := map[string]string{"SSL": config.SchemeTLS, "STARTTLS": config.SchemeStartTLS}[strings.ToUpper(strings.TrimSpace(o.Socket))]
	user := strings.TrimSpace(o.User)
	if o.Type != "smtp" || scheme == "" || status.Printable(user) != user || strings.ContainsAny(user, " ;&|<>()$`\"'#") {
		return nil
	}
	port, err := strconv.ParseUint(strings.TrimSpace(o.Port), 10, 16)
	if err != nil {
		return nil
	}
	f := &Finding{User: user}
	host := a.fill(strings.TrimSpace(o.Host))
	if f.Server.UnmarshalText(fmt.Appendf(nil, "%s://%s:%d", scheme, host, port)) != nil || f.Server.Port == 0 {
		return nil
	}
	for i, method := range o.Authentication {
		takesToken := strings.EqualFold(strings.TrimSpace(method), "OAuth2")
		if i == 0 && takesToken {
			f.Login = OAuth2
		} else if !takesToken {
			f.Login = Password
		}
	}
	return f
}

// fetch gets the autoconfig document at a URL and reads it. The URL may lead to
// another page of domain; but not every page of a domain is written by its owner, so
// that a server outside, which such a page names, is not proven.
func (f *Finder) fetch(ctx context.Context, address, domain string) (*Finding, error) {
	address = strings.NewReplacer("DOMAIN", f.ASCII, "ADDRESS", url.QueryEscape(f.Address.String())).Replace(address)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialWithin(domain), DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: redirects(domain)}
	response, err := client.Do(request)
	if err != nil {
		if inner := new(url.Error); errors.As(err, &inner) {
			err = inner.Err // the URL is said with it
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, errUnknown
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	found, err := parseAutoconfig(response.Body, f.Address)
	isRedirected := response.Request.Response != nil
	if err == nil && isRedirected && domain == f.ASCII && !within(found.Server.Host, domain) {
		at := response.Request.URL.Hostname()
		found.Unproven = fmt.Sprintf("autoconfig of %s leads to a page at %s that names %s, outside the domain, and nothing proves who has written it", domain, at, found.Server.Host)
	}
	return found, err
}

// dialWithin returns an http.Transport.DialContext that roots the names within domain; a
// proxy's name may need a search domain.
func dialWithin(domain string) func(ctx context.Context, network, address string) (net.Conn, error) {
	if Dial != nil {
		return Dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && within(host, domain) {
			address = net.JoinHostPort(rooted(host), port)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// redirects returns an http.Client.CheckRedirect that stays within domain, and tells
// no page of the one before, whose URL may have the mail address in it.
func redirects(domain string) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		next.Header.Del("Referer")
		switch {
		case next.URL.Scheme != "https":
			return errors.New("it leads to a page without HTTPS")
		case !within(strings.ToLower(next.URL.Hostname()), domain):
			return errors.New("it leads to a page outside " + domain)
		case len(via) > maxRedirects:
			return errors.New("it has too many redirects")
		}
		return nil
	}
}
