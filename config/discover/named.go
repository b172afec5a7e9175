package discover

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/status"
)

// key returns the word by which --setup takes the provider.
func (p *provider) key() string {
	word, _, _ := strings.Cut(cmp.Or(p.keys, strings.ToLower(p.name)), " ")
	return word
}

// regionMark stands for the region in a listed key.
const regionMark = ":" + regionPart

// serverOf returns the server of the provider that word names, as in "gmail" or
// "ses:eu-west-1"; "" if there is none.
func serverOf(word string) string {
	word, region, _ := strings.Cut(strings.ToLower(word), ":")
	for i := range providers {
		p := &providers[i]
		isNamed := p.key() == word || slices.Contains(strings.Fields(p.keys), word)
		if isNamed && strings.Contains(p.server, regionPart) == (region != "") {
			return strings.ReplaceAll(p.server, regionPart, region)
		}
	}
	return ""
}

// IsProvider reports whether word is the key of a provider that has a server.
func IsProvider(word string) bool { return serverOf(word) != "" }

// Providers returns the keys of the providers that have a server, such as
// "sendgrid"; "ses:" has the region behind the colon.
func Providers() (keys []string) {
	for _, p := range providers {
		key := p.key()
		if strings.Contains(p.server, regionPart) {
			key += ":"
		}
		if p.server != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// Table returns the table of providers for people, a line for each in the order of
// their keys: key, server, name, and what is logged in with.
func Table() string {
	with := [...]string{Password: "password", AppPassword: "app password", Google: "app password, OAuth", Microsoft: "OAuth"}
	var lines []string
	for _, p := range providers {
		key := p.key()
		if strings.Contains(p.server, regionPart) {
			key += regionMark
		}
		if p.server != "" {
			lines = append(lines, fmt.Sprintf("%-11s %-40s %-26s %s\n", key, p.server, p.name, with[p.login]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// errWord says what a person can call a server. A password may have been typed in its
// place, so that the text is not quoted.
var errWord = status.Usage.Errorf("this is not a server: give a host name, a URL such as smtps://HOST:PORT, or a provider (sendoff --setup --providers lists them)")

// Named returns the server that a person calls by a URL, the key of a provider, or the
// name of a host, with a port or without. How a host speaks TLS is tried; if the host
// does not answer, the likeliest is returned beside the error.
func (f *Finder) Named(ctx context.Context, word string) (*Finding, error) {
	found := &Finding{}
	if url := serverOf(word); url != "" {
		word = url
	}
	scheme, _, _ := strings.Cut(word, ":")
	if slices.ContainsFunc(config.Schemes[:], func(s config.Scheme) bool { return strings.EqualFold(s.Name, scheme) }) {
		return found, status.Usage.Wrap(found.Server.UnmarshalText([]byte(word)))
	}
	all := hostNamed(word)
	if all == nil {
		return nil, errWord
	}
	i, err := f.first(ctx, all)
	switch {
	case i >= 0:
		return all[i], nil
	case status.KindOf(err) != status.Insecure:
		err = fmt.Errorf("no mail server answers there: %w", err)
	}
	return all[0], err
}

// hostNamed returns the ways to speak to a host, the likeliest first; nil if word is no
// host with a full name or an address.
func hostNamed(word string) (all []*Finding) {
	for _, service := range services {
		found := &Finding{}
		if found.Server.UnmarshalText([]byte(service.scheme+"://"+word)) != nil || !strings.ContainsAny(found.Server.Host, ".:") && found.Server.Host != "localhost" {
			return nil
		}
		all = append(all, found)
	}
	if all[0].Server.Way().Odd(all[0].Server.Port) != "" {
		slices.Reverse(all)
	}
	return all
}
