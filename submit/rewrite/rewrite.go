// Package rewrite applies aliases and an account's rules to the addresses of an
// envelope. A provider that accepts only the account's own address then also takes the
// mail of cron.
//
//	                 domain is not set                domain is set
//	an alias         its addresses                    its addresses
//	root, root@vm    the account's own address        root@DOMAIN, root@vm
//	www@vm.lan       if it is the sender, the         www@vm.lan
//	                 account's own address
//	bob@example.net  bob@example.net                  bob@example.net
//
// With force-sender each sender becomes the account's own address.
//
// The package does not know the network, the queue, or how an address is written in a
// header.
//
// Errors: of kind Config, if the configured domain makes an address invalid or there is
// no sender. Faults in lines of the alias file are not errors: Resolution lists them.
package rewrite

import (
	"cmp"
	"fmt"
	"slices"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// Rules are the rules of one account, on this host.
type Rules struct {
	config   *config.Config
	identity config.Identity
	account  *config.Account
	own      envelope.Address // the account's own address; null if it has none
}

// New returns the rules of a, which may be an account that c does not list.
func New(c *config.Config, id config.Identity, a *config.Account) *Rules {
	own, _ := a.Address()
	return &Rules{config: c, identity: id, account: a, own: own}
}

// A Recipient is an address for RCPT.
type Recipient struct {
	Address envelope.Address // zero if Discard
	Why     string           // "; for OLD: WHY" for each change that led to Address; "": no change
	Discard bool             // an alias throws the mail away
}

// A Resolution lists the recipients that an address stands for.
type Resolution struct {
	To      []Recipient
	Aliased bool     // the address has an alias
	Faults  []string // errors in the alias file, for people
}

// Resolve applies aliases to a if IsLocal(a), and then the rules to each resulting
// address. aliases may be nil.
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

// expand returns the targets of name in the alias file; none: it has no alias.
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

// SenderOf returns the reverse-path for the sender that was named, and in words where it
// comes from. sender is nil if none was named; by says where it was, such as "-f".
func (u *Rules) SenderOf(sender *envelope.Address, by string) (_ envelope.Address, origin string, _ error) {
	if sender == nil {
		return u.DefaultSender()
	}
	if sender.IsNull() {
		return *sender, by + ", the null sender", nil
	}
	address, why, err := u.Sender(*sender)
	return address, by + because(*sender, why), err
}

// because returns "; for OLD: WHY"; "" if why is "": the rules did not change old.
func because(old envelope.Address, why string) string {
	if why == "" {
		return ""
	}
	return fmt.Sprintf("; for %s: %s", old, why)
}

// DefaultSender returns the reverse-path without -f: the account's own address, or else
// that of the user who runs sendoff.
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

// Sender applies the rules to the address of a sender. why is "" if they do not change
// the address.
func (u *Rules) Sender(a envelope.Address) (_ envelope.Address, why string, _ error) {
	switch {
	case a.IsNull():
		return a, "", nil
	case u.IsForced(a):
		return u.own, "force-sender", nil
	case u.config.Domain == "" && !u.own.IsNull() && u.IsLocalSender(a) && !u.isSender(a):
		return u.own, "a local name, which becomes the account's own address", nil
	}
	return u.qualify(a)
}

// IsForced reports whether force-sender replaces the sender a.
func (u *Rules) IsForced(a envelope.Address) bool {
	return u.account.ForceSender && !u.own.IsNull() && !a.IsNull() && a.Key() != u.own.Key()
}

// IsLocal reports whether a, as a recipient, is an address of this host. It is not if an
// account has senders in its domain.
func (u *Rules) IsLocal(a envelope.Address) bool {
	return !a.IsNull() && u.isLocal(a) && !u.KnowsDomain(a.Domain())
}

// Recipient applies the rules to the address of a recipient. why is "" if they do not
// change the address.
func (u *Rules) Recipient(a envelope.Address) (_ envelope.Address, why string, _ error) {
	if u.config.Domain == "" && !u.own.IsNull() && u.IsLocal(a) {
		return u.own, "a local name, whose mail goes to the account's own address", nil
	}
	return u.qualify(a)
}

// qualify adds the domain of this host to an address without a domain.
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

// Domain returns the domain for addresses without one: the setting domain, the mail
// name, or the best host name that is known.
func (u *Rules) Domain() string {
	id := u.identity
	return cmp.Or(u.config.Domain, id.Mailname, id.FQDN, id.Hostname, "localhost")
}

// isSender reports whether a matches the setting from of an account.
func (u *Rules) isSender(a envelope.Address) bool {
	return u.hasFrom(func(p config.Pattern) bool { return p.Matches(a) })
}

// KnowsDomain reports whether the setting from of an account has addresses in domain.
func (u *Rules) KnowsDomain(domain string) bool {
	return domain != "" && u.hasFrom(func(p config.Pattern) bool { return p.HasDomain(domain) })
}

// hasFrom reports whether match returns true for the setting from of an account.
func (u *Rules) hasFrom(match func(config.Pattern) bool) bool {
	for _, account := range append([]*config.Account{u.account}, u.config.Accounts...) {
		if slices.ContainsFunc(account.From, match) {
			return true
		}
	}
	return false
}
