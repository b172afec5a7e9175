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

// These checks go the way of a delivery. The same functions that open a session
// for mail take each step; but a delivery is content with the first address that
// will do, and these try all.

// names finds the addresses of each server.
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

// addresses says what the name of a target stands for.
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

// soften makes notes of failures to get there if there is another way. What is
// wrong with a server's TLS stays a failure: a delivery that comes there goes no
// further.
func soften(found []finding, another bool) []finding {
	for i, f := range found {
		if f.result == resultFail && another && status.KindOf(f.err) == status.Connection {
			found[i].result = resultNote
		}
	}
	return found
}

// A meeting is an attempt to get as far as a login with one hop, and its dialogue.
type meeting struct {
	smarthost.Meeting
	lines []smtp.Line
}

// connections meets every hop, all at once; but a second way to the same address only
// if the first failed.
func (d *doctor) connections(ctx context.Context) []finding {
	for _, second := range []bool{false, true} {
		d.meetAll(ctx, func(h dial.Hop) bool { return h.Second == second && !(second && d.speaks(h)) })
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

// meetAll meets the hops for which match returns true, all at once.
func (d *doctor) meetAll(ctx context.Context, match func(dial.Hop) bool) {
	var all sync.WaitGroup
	met := make([]*meeting, len(d.hops))
	for i, h := range d.hops {
		if match(h) {
			all.Go(func() { met[i] = d.meet(ctx, h) })
		}
	}
	all.Wait()
	d.meetings = append(d.meetings, slices.DeleteFunc(met, func(m *meeting) bool { return m == nil })...)
}

// speaks reports whether a meeting at the address of h went well, so that the address
// need not be tried in another way.
func (d *doctor) speaks(h dial.Hop) bool {
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

// perMeeting returns the finding of ask about each meeting that came further than s; if
// a meeting failed at s, its error is the finding. Equal findings are one; if there are
// several, each begins with the addresses that it is about.
func (d *doctor) perMeeting(s smarthost.Step, ask func(*meeting) finding) []finding {
	var found []finding
	var whom [][]string
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
			found, whom = append(found, f), append(whom, nil)
			i = len(found) - 1
		}
		whom[i] = append(whom[i], m.Endpoint())
	}
	if len(found) > 1 {
		for i := range found {
			found[i] = found[i].about(strings.Join(whom[i], ", "))
		}
	}
	return soften(found, d.goodMeeting() != nil)
}

// about returns f with whom it is about before its words.
func (f finding) about(whom string) finding {
	if f.err != nil {
		f.err = fmt.Errorf("%s: %w", whom, f.err)
	}
	f.text = whom + ": " + f.text
	return f
}

func (d *doctor) certificates(context.Context) []finding {
	return d.perMeeting(smarthost.Securing, func(m *meeting) finding {
		switch {
		case m.Server.TLS != nil && m.Classical:
			return noted(status.Insecure.Errorf("%s; %s", d.certificate(m.Server.TLS).words(), smarthost.OnlyClassical))
		case m.Server.TLS != nil:
			return d.certificate(m.Server.TLS)
		case m.Hop.Server.Way().TLS != config.NoTLS: // it did not come to that
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

// expiresSoon is the time left to a certificate from which it is worth a note.
const expiresSoon = 14 * 24 * time.Hour

// certificate says what kind of TLS it is, for which names and how long the
// server's certificate is good, and which certificates came with it.
func (d *doctor) certificate(cs *tls.ConnectionState) finding {
	leaf := cs.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	words := fmt.Sprintf("%s, for %s; %d days left", tls.VersionName(cs.Version), trust.Names(leaf), int(left/(24*time.Hour)))
	if len(d.account.TLSFingerprint) > 0 {
		return fine("%s; trusted by its fingerprint; %s", words, trust.Chain(cs.PeerCertificates))
	}
	words += "; " + trust.Chain(cs.PeerCertificates)
	if left < expiresSoon {
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

// mechanism holds the mechanisms that the server offers against the account's.
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

// loggedIn opens a session as a delivery does, with the secret that is there: a command
// runs, and a person is asked, no second time.
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

// senderTaken asks whether the account's sender may send, and sends nothing.
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
