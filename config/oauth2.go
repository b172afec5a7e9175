package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// oauth2Table is the table of the providers of access tokens; it is not a setting itself.
const oauth2Table = "oauth2"

// The values of grant.
const (
	GrantPerson = "authorization-code" // a person consents, in a browser or with a device code
	GrantClient = "client-credentials"
)

// An OAuth2 is a provider of access tokens (RFC 6749), with our registration there.
type OAuth2 struct {
	Name string `toml:"-"`

	ClientID     string           `toml:"client-id" doc:"The client ID under which sendoff is registered with the provider."`
	ClientSecret List[secret.Ref] `toml:"client-secret" doc:"Where the client secret is kept, if there is one: one source, or several that are tried in order."`
	Tenant       string           `toml:"tenant" doc:"What replaces {tenant} in the addresses."`
	Scopes       List[string]     `toml:"scopes" doc:"The scopes that a token must have."`
	Grant        string           `toml:"grant" doc:"The grant by which tokens are issued: authorization-code or client-credentials."`
	AuthURL      Endpoint         `toml:"auth-url" doc:"The authorization endpoint, the page where a person consents."`
	DeviceURL    Endpoint         `toml:"device-url" doc:"The device authorization endpoint, which gives a code to enter on another device."`
	TokenURL     Endpoint         `toml:"token-url" doc:"The token endpoint."`
	RedirectURL  Redirect         `toml:"redirect-url" doc:"The redirect address, as it was registered with the provider."`

	clientScopes List[string] // of a built-in provider, for GrantClient
}

// ByClient reports whether the grant is client-credentials: no person consents.
func (p OAuth2) ByClient() bool { return p.Grant == GrantClient }

// providers has the built-in providers: a table in the configuration needs only the user's
// own registration with them. No registration is built in.
//
// Google sends a refresh token only with access_type=offline and prompt=consent, and has no
// device flow for the scope of mail.
var providers = [...]OAuth2{
	{
		Name:     "google",
		Scopes:   List[string]{"https://mail.google.com/"},
		AuthURL:  Endpoint{"https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent"},
		TokenURL: Endpoint{"https://oauth2.googleapis.com/token"},
	},
	{
		Name:         "microsoft",
		Tenant:       "common",
		Scopes:       List[string]{"https://outlook.office.com/SMTP.Send", "offline_access"},
		AuthURL:      Endpoint{"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"},
		DeviceURL:    Endpoint{"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode"},
		TokenURL:     Endpoint{"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"},
		clientScopes: List[string]{"https://outlook.office365.com/.default"},
	},
}

// An Endpoint is the URL of a provider: HTTPS, or HTTP on this machine.
type Endpoint struct{ URL string }

// UnmarshalText reads a URL; its path may contain "{tenant}".
func (e *Endpoint) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("an address of a provider is written https://HOST/PATH")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return errors.New("an address of a provider begins with https://, unless it is on this machine")
	}
	e.URL = string(text)
	return nil
}

// A Redirect is the address to which a provider redirects a browser.
type Redirect struct{ URL string }

// UnmarshalText reads an address with any scheme.
func (r *Redirect) UnmarshalText(text []byte) error {
	if u, err := url.Parse(string(text)); err != nil || u.Scheme == "" || u.Fragment != "" || u.Host == "" && u.Opaque == "" && u.Path == "" {
		return errors.New("the address to which a provider sends the browser is written http://localhost:PORT/PATH, or as it was registered")
	}
	r.URL = string(text)
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// complete fills empty fields from the built-in provider. The error says what is missing or
// wrong.
func (p *OAuth2) complete() error {
	known, _ := BuiltIn(p.Name)
	if p.Grant == GrantClient {
		known.Scopes = known.clientScopes
	}
	if p.Scopes == nil {
		p.Scopes = known.Scopes
	}
	p.Tenant = cmp.Or(p.Tenant, known.Tenant)
	p.AuthURL = cmp.Or(p.AuthURL, known.AuthURL)
	p.DeviceURL = cmp.Or(p.DeviceURL, known.DeviceURL)
	p.TokenURL = cmp.Or(p.TokenURL, known.TokenURL)
	p.Grant = cmp.Or(p.Grant, GrantPerson)
	for _, e := range []*Endpoint{&p.AuthURL, &p.DeviceURL, &p.TokenURL} {
		if strings.Contains(e.URL, "{tenant}") && p.Tenant == "" {
			return errors.New("has no tenant")
		}
		e.URL = strings.ReplaceAll(e.URL, "{tenant}", url.PathEscape(p.Tenant))
	}
	switch {
	case p.ClientID == "":
		return errors.New("has no client-id")
	case p.TokenURL.URL == "":
		return errors.New("has no token-url")
	case p.Grant != GrantPerson && p.Grant != GrantClient:
		return errors.New(`has a grant that is not "authorization-code" or "client-credentials"`)
	case p.Grant == GrantClient && len(p.ClientSecret) == 0:
		return errors.New("has no client-secret, which client-credentials needs")
	case p.Grant == GrantPerson && p.AuthURL.URL == "" && p.DeviceURL.URL == "":
		return errors.New("has neither auth-url nor device-url")
	case slices.ContainsFunc(p.Scopes, func(s string) bool { return s == "" || strings.ContainsFunc(s, unicode.IsSpace) }):
		return errors.New("has a scope that is empty or more than one")
	}
	return nil
}

// BuiltIn returns the built-in provider with this name; false: there is none.
func BuiltIn(name string) (OAuth2, bool) {
	for _, known := range providers {
		if known.Name == name {
			return known, true
		}
	}
	return OAuth2{}, false
}

// Provider returns the provider with this name. A built-in provider needs a table as well,
// for the client ID.
func (c *Config) Provider(name string) (*OAuth2, error) {
	for _, p := range c.Providers {
		if p.Name == name {
			return p, nil
		}
	}
	table := dotted([]string{oauth2Table, name})
	if _, ok := BuiltIn(name); ok {
		return nil, status.Config.Errorf("the configuration has no [%s], with a client-id", table)
	}
	return nil, status.Config.Errorf("the configuration has no [%s]", table)
}

// checkProviders checks that the configuration has all providers that a names.
func (c *Config) checkProviders(a *Account) error {
	for _, r := range a.Secret {
		if !r.IsOAuth2() {
			continue
		}
		if _, err := c.Provider(r.Provider()); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	return nil
}
