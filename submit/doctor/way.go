package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
	"sendoff/submit/trust"
)

// These checks make the steps of a delivery, with the same functions. But a delivery stops
// at the first address that works, and these checks try all addresses.

// names looks up the addresses of each server.
func (d *doctor) names(ctx context.Context) []finding {
	var found []finding
	for _, server := range d.account.Servers {
		found = append(found, d.lookUp(ctx, server)...)
	}
	return soften(found, len(d.hops) > 0)
}

func (d *doctor) lookUp(ctx context.Context, server config.Server) []finding {
	ctx, cancel := smarthost.Limit(ctx, d.account)
	defer cancel()
	dialer := d.s.Pool().Secrets.Dialer
	targets, err := dialer.Targets(ctx, d.account, server)
	if err != nil {
		return single(failing(err))
	}
	var found []finding
	for _, t := range targets {
		hops, err := dialer.Hops(ctx, d.account, t).All()
		if err != nil {
			found = append(found, failing(err))
			continue
		}
		d.hops = append(d.hops, hops...)
		if !t.Second {
			found = append(found, fine("%s", d.addresses(t, hops)))
		}
	}
	return found
}

// addresses says which addresses the name of a target has.
func (d *doctor) addresses(t dial.Target, hops []dial.Hop) string {
	_, noName := netip.ParseAddr(t.Name)
	switch {
	case t.Server.Kind() != config.Host:
		return t.Server.String() + ": there is no name to look up"
	case dial.Proxied(d.account):
		return t.Name + ": the proxy looks it up"
	case noName == nil:
		return t.Name + ": an IP address"
	}
	var list []string
	for _, h := range hops {
		list = append(list, h.Address.Addr().String())
	}
	return t.Name + ": " + strings.Join(list, ", ")
}

// soften turns failures to connect into notes if another address works. A failure of TLS
// stays a failure: a delivery that meets it does not try another address.
func soften(found []finding, hasOther bool) []finding {
	for i, f := range found {
		if f.result == resultFail && hasOther && status.KindOf(f.err) == status.Connection {
			found[i].result = resultNote
		}
	}
	return found
}

// A meeting is an attempt to open a session with a hop, up to the login, and its dialogue.
type meeting struct {
	smarthost.Meeting
	lines []smtp.Line
}

// connections tries all hops at the same time. A second way to an address (Hop.Second) is
// tried only if the first way failed.
func (d *doctor) connections(ctx context.Context) []finding {
	for _, second := range []bool{false, true} {
		d.meetAll(ctx, func(h dial.Hop) bool { return h.Second == second && !(second && d.works(h)) })
	}
	var found []finding
	for _, m := range d.meetings {
		for _, l := range m.lines {
			d.s.Smarthosts.Trace(l)
		}
		if m.Err != nil && m.Reached == smarthost.Connecting {
			found = append(found, failing(m.Err))
			continue
		}
		if d.s.Pool().Secrets.Dialer.Is(m.Hop, dial.Stalls) {
			found = append(found, noted(status.Connection.Errorf("%s: a message got stuck there within the last hour, so this address is tried last", m.Hop)).
				advised("large packets may be lost on the way: let ICMP pass, lower the MTU, or set address-family"))
			continue
		}
		found = append(found, fine("%s", m.Hop))
	}
	return soften(found, d.goodMeeting() != nil)
}

// meetAll tries the hops for which match returns true, all at the same time.
func (d *doctor) meetAll(ctx context.Context, match func(dial.Hop) bool) {
	var all sync.WaitGroup
	meetings := make([]*meeting, len(d.hops))
	for i, h := range d.hops {
		if match(h) {
			all.Go(func() { meetings[i] = d.meet(ctx, h) })
		}
	}
	all.Wait()
	d.meetings = append(d.meetings, slices.DeleteFunc(meetings, func(m *meeting) bool { return m == nil })...)
}

// works reports whether a meeting at the address of h succeeded: then no other way to the
// address is tried.
func (d *doctor) works(h dial.Hop) bool {
	return slices.ContainsFunc(d.meetings, func(m *meeting) bool { return m.Err == nil && m.Address == h.Address })
}

func (d *doctor) goodMeeting() *meeting {
	if i := slices.IndexFunc(d.meetings, func(m *meeting) bool { return m.Err == nil }); i >= 0 {
		return d.meetings[i]
	}
	return nil
}

func (d *doctor) meet(ctx context.Context, h dial.Hop) *meeting {
	m := new(meeting)
	opener := d.s.Pool().Opener
	if opener.Trace != nil {
		opener.Trace = func(l smtp.Line) { m.lines = append(m.lines, l) }
	}
	m.Meeting = opener.Meet(ctx, d.account, d.hello, h)
	return m
}

// perMeeting calls ask for each meeting that got beyond the step s. If a meeting failed at
// s, its error is the finding. Equal findings are merged. If several findings remain, each
// begins with its addresses.
func (d *doctor) perMeeting(s smarthost.Step, ask func(*meeting) finding) []finding {
	var found []finding
	var endpoints [][]string
	for _, m := range d.meetings {
		var f finding
		switch {
		case m.Err == nil || m.Reached > s:
			f = ask(m)
		case m.Reached == s:
			f = failing(m.Err)
		}
		if f.result == "" {
			continue
		}
		i := slices.IndexFunc(found, func(other finding) bool { return other.words() == f.words() })
		if i < 0 {
			found, endpoints = append(found, f), append(endpoints, nil)
			i = len(found) - 1
		}
		endpoints[i] = append(endpoints[i], m.Endpoint())
	}
	if len(found) > 1 {
		for i := range found {
			found[i] = found[i].about(strings.Join(endpoints[i], ", "))
		}
	}
	return soften(found, d.goodMeeting() != nil)
}

// about returns f with endpoints before its text.
func (f finding) about(endpoints string) finding {
	if f.err != nil {
		f.err = fmt.Errorf("%s: %w", endpoints, f.err)
	}
	f.text = endpoints + ": " + f.text
	return f
}

func (d *doctor) certificates(context.Context) []finding {
	return d.perMeeting(smarthost.Securing, func(m *meeting) finding {
		switch {
		case m.Server.TLS != nil && m.Classical:
			return noted(status.Insecure.Errorf("%s; %s", d.certificate(m.Server.TLS).words(), smarthost.OnlyClassical))
		case m.Server.TLS != nil:
			return d.certificate(m.Server.TLS)
		case m.Hop.Server.Way().TLS != config.NoTLS: // the meeting has not come as far as STARTTLS
			return finding{}
		case m.Local():
			return fine("none is needed: the connection does not leave this machine")
		case m.Hop.Server.Kind() == config.Command:
			return fine("left to the command")
		}
		return noted(status.Insecure.Errorf("no TLS: everybody on the way to %s can read the mail", m.Name)).
			advised("write the server with TLS: server = \"smtps://%s\" or \"smtp://%s\"", m.Name, m.Name)
	})
}

// expiresSoon is the remaining lifetime below which a certificate gets a note.
const expiresSoon = 14 * 24 * time.Hour

// certificate returns the version of TLS, the names and the remaining days of the server's
// certificate, and who has signed it.
func (d *doctor) certificate(cs *tls.ConnectionState) finding {
	leaf := cs.PeerCertificates[0]
	lifetime := time.Until(leaf.NotAfter)
	words := fmt.Sprintf("%s, for %s; %d days left", tls.VersionName(cs.Version), trust.Names(leaf), int(lifetime/(24*time.Hour)))
	if len(d.account.TLSFingerprint) > 0 {
		return fine("%s; trusted by its fingerprint; %s", words, trust.Chain(cs.PeerCertificates))
	}
	words += "; " + trust.Chain(cs.PeerCertificates)
	if lifetime < expiresSoon {
		return noted(status.Insecure.Errorf("%s: the certificate expires soon, on %s", words, leaf.NotAfter.UTC().Format(time.DateOnly))).
			advised("the server's administrator must renew it before that day")
	}
	return fine("%s", words)
}

func (d *doctor) greetings(context.Context) []finding {
	return d.perMeeting(smarthost.Greeting, func(m *meeting) finding {
		offers := "offers no extension"
		if len(m.Server.Extensions) > 0 {
			offers = "offers " + strings.Join(m.Server.Extensions, ", ")
		}
		return fine("%s; %s", status.Line(m.Server.Greeting, 100), offers)
	})
}

// mechanism compares the mechanisms that the server offers with those of the account.
func (d *doctor) mechanism(ctx context.Context) []finding {
	m := d.goodMeeting()
	offered := strings.Join(m.Server.Mechanisms, ", ")
	if offered == "" {
		offered = "none"
	}
	if d.login == nil {
		return single(fine("not needed; offered: %s", offered))
	}
	d.login.To(m.Local(), m.Address, netip.AddrPort{})
	name := ""
	l, err := d.login.Auth(ctx, m.Server.Mechanisms, m.Server.TLS)
	if err == nil {
		name, _, err = l.Client.Start()
	}
	if d.noMechanism = err != nil; d.noMechanism {
		return single(failing(status.AuthFailed.Wrap(err)))
	}
	words := fmt.Sprintf("%s; offered: %s", name, offered)
	if len(d.account.Auth) > 0 {
		words += "; allowed: " + strings.Join(d.account.Auth, ", ")
	}
	if m.Server.TLS == nil && m.Local() {
		if known, _ := trust.Port(d.account, m.Address, netip.AddrPort{}); !known {
			return single(noted(status.Insecure.Errorf("%s; port %d receives the secret, and this system does not tell who owns it", words, m.Address.Port())).
				advised("use a port below 1024, which only root can open, or a Unix socket, or TLS"))
		}
	}
	return single(fine("%s", words))
}

// loggedIn opens a session as a delivery does. It uses the secret that the check "secret"
// has read, so that no command runs twice and no person is asked twice.
func (d *doctor) loggedIn(ctx context.Context) []finding {
	var err error
	if d.session, _, err = d.s.Pool().Open(ctx, d.account, d.hello, smarthost.Options{Login: d.login}); err != nil {
		return single(failing(err))
	}
	if d.login == nil {
		return single(fine("not needed"))
	}
	return single(fine("as %s", d.account.User))
}

// senderTaken checks whether the server accepts the account's sender in MAIL FROM. It sends
// no mail.
func (d *doctor) senderTaken(ctx context.Context) []finding {
	if d.senderErr != nil {
		return single(failing(d.senderErr))
	}
	ctx, cancel := smarthost.Limit(ctx, d.account)
	defer cancel()
	if err := d.session.TrySender(ctx, &envelope.Envelope{From: d.sender, UTF8: d.sender.UTF8()}); err != nil {
		return single(failing(smarthost.Blame(d.account, d.sender, err)))
	}
	return single(fine("MAIL FROM:<%s>, %s", d.sender, d.origin))
}
