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

// key returns the word for the provider in --setup and in the table.
func (p *provider) key() string {
	word, _, _ := strings.Cut(cmp.Or(p.keys, strings.ToLower(p.name)), " ")
	return word
}

// regionMark is added to a key in the table if the customer has to add a region.
const regionMark = ":" + regionPart

// providerNamed returns the provider that word names, such as "gmail" or "ses:eu-west-1",
// and the region in word; nil: there is none.
func providerNamed(word string) (p *provider, region string) {
	word, region, _ = strings.Cut(strings.ToLower(word), ":")
	for i := range providers {
		p := &providers[i]
		isNamed := p.key() == word || slices.Contains(strings.Fields(p.keys), word)
		if isNamed && (region == "" || p.needsRegion()) {
			return p, region
		}
	}
	return nil, ""
}

func (p *provider) needsRegion() bool { return strings.Contains(p.server, regionPart) }

// serverIn returns the server of the provider in a region; an error if a region is missing,
// or if the provider has no server.
func (p *provider) serverIn(region string) (string, error) {
	switch {
	case p.needsRegion() && region == "":
		return "", status.Usage.Errorf("%s requires a region: write %s%s, such as %[2]s:eu-west-1", p.name, p.key(), regionMark)
	case p.server == "":
		return "", status.Usage.Errorf("%s", p.remark)
	}
	return strings.ReplaceAll(p.server, regionPart, region), nil
}

// IsProvider reports whether word names a provider.
func IsProvider(word string) bool {
	p, _ := providerNamed(word)
	return p != nil
}

// IsHost reports whether word is a full host name or an IP address, perhaps with a port.
// Named then tries to connect.
func IsHost(word string) bool { return hostNamed(word) != nil }

// Providers returns the keys of the providers with a server, such as "sendgrid". A key that
// needs a region ends with a colon, such as "ses:".
func Providers() (keys []string) {
	for _, p := range providers {
		key := p.key()
		if p.needsRegion() {
			key += ":"
		}
		if p.server != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// Table returns the table of providers for people, a line for each, sorted by key: key,
// server, name, and the kind of login.
func Table() string {
	with := [...]string{Password: "password", AppPassword: "app password", Google: "app password, OAuth", Microsoft: "OAuth"}
	var lines []string
	for _, p := range providers {
		key := p.key()
		if p.needsRegion() {
			key += regionMark
		}
		if p.server != "" {
			lines = append(lines, fmt.Sprintf("%-11s %-40s %-26s %s\n", key, p.server, p.name, with[p.login]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// errWord says how a person can name a server. It does not quote the text, which may be a
// password.
var errWord = status.Usage.Errorf("this is not a server: give a host name, a URL such as smtps://HOST:PORT, or a provider (sendoff --setup --providers lists them)")

// Named returns the server that a person names by a URL, the key of a provider, or a host
// name with or without a port. For a host name, the ways to speak TLS are tried. If the
// host does not answer, Named returns the most probable way together with the error.
func (f *Finder) Named(ctx context.Context, word string) (*Finding, error) {
	found := &Finding{}
	if p, region := providerNamed(word); p != nil {
		var err error
		if word, err = p.serverIn(region); err != nil {
			return nil, err
		}
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

// hostNamed returns the ways to speak with a host, the most probable first; nil if word is
// neither a full host name nor an IP address.
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
