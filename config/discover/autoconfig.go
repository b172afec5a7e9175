package discover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sendoff/config"
	"sendoff/submit/status"
)

// Limits of the requests over HTTPS.
const (
	maxDocument  = 256 << 10 // octets; real documents have some thousand
	maxRedirects = 5
)

// domainDocuments are the URLs of a domain's own autoconfig document; ispdb is the URL of
// Mozilla's document for a domain. All of them are HTTPS, because anybody could change an
// answer over HTTP.
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
	kind           string            // its attribute type
	text           map[string]string // the text of an element in it, by the element's name
	authentication []string          // the texts of its elements authentication
}

// outgoingServers returns the elements outgoingServer of an autoconfig document. The
// reflection of xml.Decoder.Decode would make the program 45 kB larger.
func outgoingServers(d *xml.Decoder) (all []outgoing, err error) {
	var path []string
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		inServer := len(path) >= 3 && path[1] == "emailProvider" && path[2] == "outgoingServer"
		switch t := token.(type) {
		case xml.StartElement:
			name := t.Name.Local
			switch {
			case len(path) == 0 && name != "clientConfig":
				return nil, errors.New("another root element")
			case len(path) == 2 && path[1] == "emailProvider" && name == "outgoingServer":
				o := outgoing{text: make(map[string]string)}
				for _, attribute := range t.Attr {
					if attribute.Name.Local == "type" {
						o.kind = attribute.Value
					}
				}
				all = append(all, o)
			case len(path) == 3 && inServer:
				all[len(all)-1].text[name] = ""
			}
			path = append(path, name)
		case xml.CharData:
			if len(path) == 4 && inServer {
				all[len(all)-1].text[path[3]] += string(t)
			}
		case xml.EndElement:
			if len(path) == 4 && inServer && path[3] == "authentication" {
				o := &all[len(all)-1]
				o.authentication = append(o.authentication, o.text["authentication"])
			}
			if path = path[:len(path)-1]; len(path) == 0 {
				return all, nil
			}
		}
	}
}

// parseAutoconfig returns the first server of an autoconfig document with TLS from the
// first octet; if there is none, the first with STARTTLS. A server without TLS is never
// used. The user name has no control characters and no special characters of a shell; it
// may have placeholders.
func parseAutoconfig(r io.Reader, a Address) (*Finding, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err != nil {
		return nil, err
	}
	wide := order(text)
	if wide != nil {
		text = narrow(text, wide)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) {
		if wide != nil {
			return r, nil // it is UTF-8 now
		}
		return latin1{bufio.NewReader(r)}, nil
	}
	servers, err := outgoingServers(d)
	if err != nil {
		return nil, errors.New("not an autoconfig document")
	}
	var best *Finding
	for _, o := range servers {
		f := o.finding(a)
		if f != nil && (best == nil || f.Server.Scheme == config.SchemeTLS && best.Server.Scheme != config.SchemeTLS) {
			best = f
		}
	}
	if best == nil {
		return nil, errors.New("the autoconfig document has no server with TLS")
	}
	return best, nil
}

// order returns the octet order of a document in UTF-16, which begins with a byte order mark
// or with <; nil if the document is not in UTF-16.
func order(text []byte) binary.ByteOrder {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if len(text) >= 2 && (o.Uint16(text) == '<' || o.Uint16(text) == byteOrderMark) {
			return o
		}
	}
	return nil
}

const byteOrderMark = 0xfeff

// narrow converts UTF-16 to UTF-8, without the byte order mark.
func narrow(text []byte, o binary.ByteOrder) []byte {
	var units []uint16
	for ; len(text) >= 2; text = text[2:] {
		units = append(units, o.Uint16(text))
	}
	if units[0] == byteOrderMark {
		units = units[1:]
	}
	return []byte(string(utf16.Decode(units)))
}

// latin1 converts ISO 8859-1 to UTF-8. All other charsets are read in this way as well: the
// server, the port and the placeholder are ASCII, and no other text is used.
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

// finding returns the server of o; nil if sendoff cannot use it.
func (o outgoing) finding(a Address) *Finding {
	scheme := map[string]string{"SSL": config.SchemeTLS, "STARTTLS": config.SchemeStartTLS}[strings.ToUpper(strings.TrimSpace(o.text["socketType"]))]
	user := strings.TrimSpace(o.text["username"])
	if o.kind != "smtp" || scheme == "" || status.Printable(user) != user || strings.ContainsAny(user, " ;&|<>()$`\"'#") {
		return nil
	}
	port, err := strconv.ParseUint(strings.TrimSpace(o.text["port"]), 10, 16)
	if err != nil {
		return nil
	}
	f := &Finding{User: user}
	host := a.fill(strings.TrimSpace(o.text["hostname"]))
	if f.Server.UnmarshalText(fmt.Appendf(nil, "%s://%s:%d", scheme, host, port)) != nil || f.Server.Port == 0 {
		return nil
	}
	for i, method := range o.authentication {
		takesToken := strings.EqualFold(strings.TrimSpace(method), "OAuth2")
		if i == 0 && takesToken {
			f.Login = OAuth2
		} else if !takesToken {
			f.Login = Password
		}
	}
	return f
}

// fetch returns the server in the autoconfig document at the URL address. It follows
// redirects within domain. Not every page of a domain is written by the domain's owner:
// after a redirect, a server outside the domain is unproven.
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
			err = inner.Err // without the URL, which is in the text of the caller
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

// dialWithin returns a DialContext for http.Transport. It looks up names within domain as
// complete names. The name of a proxy may need a search domain.
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

// redirects returns a CheckRedirect for http.Client. It refuses redirects out of domain,
// and removes the Referer, whose URL may contain the mail address.
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
