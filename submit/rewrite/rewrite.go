// Package rewrite applies aliases and an account's rules to the addresses of an
// envelope, so that cron's mail passes a provider that takes only the account's own
// address.
//
//	                 domain is not set                domain is set
//	alias            the addresses that it stands for, in both cases
//	root, root@vm    the account's own address        root@DOMAIN, root@vm
//	www@vm.lan       as a sender: likewise            www@vm.lan
//	bob@example.net  bob@example.net                  bob@example.net
//
// With force-sender each sender becomes the account's own address.
//
// It does not know the network, the queue, or how an address stands in a header.
//
// Errors: of kind Config, where the configured domain makes an address invalid or
// there is no sender. What is wrong with lines of the alias file is no error: it is
// returned beside the result.
package rewrite

import (
	"cmp"
	"fmt"
	"slices"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// Rules are those of one account on one host.
type Rules struct {
	config   *config.Config
	identity config.Identity
	account  *config.Account
	own      envelope.Address // the account's own address; null if it has none
}

// New returns the rules of a, which need not be an account of c.
func New(c *config.Config, id config.Identity, a *config.Account) *Rules {
	own, _ := a.Address()
	return &Rules{config: c, identity: id, account: a, own: own}
}

// A Recipient is an address that a server is to be given.
type Recipient struct {
	Address envelope.Address
	Why     string // "; for OLD: WHY" for each step that led to Address; "" if there was none
	Discard bool   // the mail is thrown away; there is no Address
}

// A Resolution says whom the mail for an address goes to.
type Resolution struct {
	To      []Recipient
	Aliased bool     // the address has an alias
	Faults  []string // what is wrong with the alias file
}

// Resolve returns whom the mail for a goes to, through aliases and the rules. aliases
// may be nil. They are asked only if IsLocal(a).
func (u *Rules) Resolve(a envelope.Address, aliases *config.Aliases) (Resolution, error) {
	var r Resolution
	var targets []config.Target
	if aliases != nil && u.IsLocal(a) {
		targets, r.Faults = u.expand(a, aliases)
	}
	if r.Aliased = len(targets) > 0; !r.Aliased {
		targets = []config.Target{{Address: a}}
	}
	for _, t := range targets {
		if t.Discard {
			r.To = append(r.To, Recipient{Why: because(a, t.Why), Discard: true})
			continue
		}
		address, why, err := u.Recipient(t.Address)
		if err != nil {
			return Resolution{}, err
		}
		r.To = append(r.To, Recipient{Address: address, Why: because(a, t.Why) + because(t.Address, why)})
	}
	return r, nil
}

// expand looks name up in the alias file.
func (u *Rules) expand(name envelope.Address, aliases *config.Aliases) (to []config.Target, faults []string) {
	to, err := aliases.Expand(name, u.IsLocal)
	if err != nil {
		faults = append(faults, err.Error())
	}
	if n := len(aliases.Faults); n > 0 {
		text := aliases.Faults[0]
		if n > 1 {
			text += fmt.Sprintf("; and %d more: see newaliases", n-1)
		}
		faults = append(faults, text)
	}
	return to, faults
}

// SenderOf returns the reverse-path for a sender, which is nil if nobody named one,
// and where it comes from, in words.
func (u *Rules) SenderOf(sender *envelope.Address) (_ envelope.Address, origin string, _ error) {
	if sender == nil {
		return u.DefaultSender()
	}
	if sender.IsNull() {
		return *sender, "-f, the null sender", nil
	}
	address, why, err := u.Sender(*sender)
	return address, "-f" + because(*sender, why), err
}

// because returns "; for OLD: WHY", or "" if there is no reason, because the rules
// left the address alone.
func because(old envelope.Address, why string) string {
	if why == "" {
		return ""
	}
	return fmt.Sprintf("; for %s: %s", old, why)
}

// DefaultSender returns the reverse-path if nobody named one: the account's own
// address, or else the user's.
func (u *Rules) DefaultSender() (_ envelope.Address, origin string, _ error) {
	if !u.own.IsNull() {
		return u.own, "the account's own address", nil
	}
	login, err := envelope.Parse(u.identity.Login)
	if err != nil {
		return envelope.Address{}, "", status.Config.Errorf("no sender: %w", err)
	}
	address, why, err := u.Sender(login)
	return address, "who runs sendoff" + because(login, why), err
}

// Sender applies the rules to an address that sends. why is "" if they leave it as it
// is.
func (u *Rules) Sender(a envelope.Address) (_ envelope.Address, why string, _ error) {
	switch {
	case a.IsNull():
		return a, "", nil
	case u.IsForced(a):
		return u.own, "force-sender", nil
	case u.config.Domain == "" && !u.own.IsNull() && u.IsLocalSender(a) && !u.known(a):
		return u.own, "a local name, which becomes the account's own address", nil
	}
	return u.qualify(a)
}

// IsForced reports whether the account insists on its own address in place of the
// sender a.
func (u *Rules) IsForced(a envelope.Address) bool {
	return u.account.ForceSender && !u.own.IsNull() && !a.IsNull() && a.Key() != u.own.Key()
}

// IsLocal reports whether a, as a recipient, is a name of this host.
func (u *Rules) IsLocal(a envelope.Address) bool {
	return !a.IsNull() && u.isLocal(a) && !u.KnowsDomain(a.Domain())
}

// Recipient applies the rules to an address that receives. why is "" if they leave it
// as it is.
func (u *Rules) Recipient(a envelope.Address) (_ envelope.Address, why string, _ error) {
	if u.config.Domain == "" && !u.own.IsNull() && u.IsLocal(a) {
		return u.own, "a local name, whose mail goes to the account's own address", nil
	}
	return u.qualify(a)
}

// qualify gives a bare name a domain.
func (u *Rules) qualify(a envelope.Address) (envelope.Address, string, error) {
	if a.IsNull() || a.Domain() != "" {
		return a, "", nil
	}
	q, err := a.Qualify(u.Domain())
	if err != nil {
		return a, "", status.Config.Errorf("domain: %w", err)
	}
	return q, "it had no domain", nil
}

// Domain returns the domain of this host, as well as it is known.
func (u *Rules) Domain() string {
	id := u.identity
	return cmp.Or(u.config.Domain, id.Mailname, id.FQDN, id.Hostname, "localhost")
}

// known reports whether any account sends as a.
func (u *Rules) known(a envelope.Address) bool {
	return u.sends(func(p config.Pattern) bool { return p.Matches(a) })
}

// KnowsDomain reports whether any account has senders in domain.
func (u *Rules) KnowsDomain(domain string) bool {
	return domain != "" && u.sends(func(p config.Pattern) bool { return p.HasDomain(domain) })
}

// sends reports whether an account has a sender that is as match says.
func (u *Rules) sends(match func(config.Pattern) bool) bool {
	for _, account := range append([]*config.Account{u.account}, u.config.Accounts...) {
		if slices.ContainsFunc(account.From, match) {
			return true
		}
	}
	return false
}
