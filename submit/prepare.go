package submit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// A job is a Request after the account's rules: what will be sent.
type job struct {
	account   *config.Account
	envelope  envelope.Envelope
	message   *message.Message
	hello     string     // our name in EHLO
	sender    string     // where the sender came from, in words
	origins   []string   // likewise for each of envelope.To
	wanted    [][]int    // which of Request.To each of envelope.To is for
	discarded []resolved // what aliases throw away
	changes   []string   // what was changed in the message, and why
	warnings  []string   // what is wrong with the alias file

	instead *substitute // where the server refuses the null sender; may be nil
}

func (j *job) close() {
	if j.instead != nil {
		j.instead.message.Close()
	}
	j.message.Close()
}

// prepare applies aliases and the account's rules to r: sender, local names,
// header. The message of r stays as it is; that of the job must be closed.
func (s *Submitter) prepare(r *Request) (*job, error) {
	j := &job{account: r.Account, envelope: r.Envelope, message: r.Message.Copy()}
	if err := s.apply(r, j); err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

func (s *Submitter) apply(r *Request, j *job) error {
	rules := newRules(s, r.Account)
	var err error
	if j.envelope.From, j.sender, err = rules.senderOf(r); err != nil {
		return err
	}
	if err := j.addRecipients(r, rules); err != nil {
		return err
	}
	if err := j.complete(r, rules); err != nil {
		return err
	}
	survey := j.message.Survey()
	if limit := int64(r.Account.MaxSize); limit > 0 && survey.Size > limit {
		return status.TooBig.Errorf("the message has %d octets, max-size allows %d", survey.Size, limit)
	}
	if survey.EightBit { // whatever was declared
		j.envelope.Body = envelope.Body8BitMIME
	}
	if j.envelope.RequireTLS && j.message.TLSOptional() {
		return status.Data.Errorf("the message says TLS-Required: No, and --require-tls the opposite")
	}
	j.envelope.UTF8 = survey.UTF8 || j.envelope.From.UTF8()
	for _, to := range j.envelope.To {
		j.envelope.UTF8 = j.envelope.UTF8 || to.Address.UTF8()
	}
	j.hello = s.helloName(j.envelope.From, rules.own)
	rules.replaceNull(j)
	return nil
}

// addRecipients resolves what the caller wanted, each recipient once.
func (j *job) addRecipients(r *Request, rules *rules) error {
	at := make(map[string]int) // in envelope.To, by key
	j.envelope.To = nil
	for i, w := range r.To {
		list, err := rules.resolve(w)
		if err != nil {
			return err
		}
		for _, to := range list {
			if to.discard {
				j.discarded = append(j.discarded, resolved{address: w.Address, why: w.Origin + to.why, discard: true})
				continue
			}
			n, again := at[to.address.Key()]
			if !again {
				n = len(j.envelope.To)
				at[to.address.Key()] = n
				recipient := w.Recipient
				recipient.Address = to.address
				j.envelope.To = append(j.envelope.To, recipient)
				j.origins = append(j.origins, w.Origin+to.why)
				j.wanted = append(j.wanted, nil)
			}
			j.wanted[n] = append(j.wanted[n], i)
		}
	}
	j.warnings = rules.warnings
	if len(j.envelope.To)+len(j.discarded) == 0 {
		return status.Usage.Errorf("no recipients")
	}
	rules.show(r, j)
	return nil
}

// show lets the header have the address that an alias stands for in place of the
// alias, if that address is the only one that the message goes to: no other
// recipient learns of it.
func (u *rules) show(r *Request, j *job) {
	if len(j.envelope.To) != 1 || len(j.discarded) > 0 {
		return
	}
	for _, w := range r.To {
		if !u.aliased[w.Address.Key()] || !strings.EqualFold(w.Address.Local(), r.To[0].Address.Local()) {
			return
		}
	}
	u.alias, u.shown = r.To[0].Address, j.envelope.To[0].Address
}

// complete gives the message the fields it must have, and the addresses in
// them the form they have in the envelope.
func (j *job) complete(r *Request, rules *rules) error {
	from, err := j.envelope.From, error(nil)
	if from.IsNull() {
		if from, _, err = rules.defaultSender(); err != nil {
			return err
		}
	}
	if input, odd := j.message.Input(); odd {
		rules.s.remark("the input is " + input)
	}
	tidied := j.message.Tidy(from)
	for _, c := range tidied {
		rules.s.remark(c.String())
	}
	author, _ := j.message.From()
	var failure error
	changes, err := j.message.RewriteAddresses(func(field string, b message.Mailbox) (message.Mailbox, string) {
		to, why, err := rules.mailbox(field, b.Address)
		failure = cmp.Or(failure, err)
		return to, why
	})
	if err := cmp.Or(failure, err); err != nil {
		return err
	}
	id := rules.s.Identity
	defaults := message.Defaults{
		From: message.Mailbox{Name: cmp.Or(r.FullName, r.Account.FullName, r.UserName, id.FullName, rules.nameOf(r.Sender)), Address: from},
	}
	r.stamp(&defaults, cmp.Or(from.Domain(), rules.fallback()))
	if rules.forced(author.Address) && !j.message.Survey().Signed && !rules.s.isLocalSender(author.Address) {
		defaults.ReplyTo = author
	}
	for _, c := range slices.Concat(tidied, changes, j.message.Complete(defaults), j.message.EncodeHeader()) {
		j.changes = append(j.changes, c.String())
	}
	return nil
}

// stamp gives the message its date and ID, which are the same however often it
// is prepared.
func (r *Request) stamp(d *message.Defaults, domain string) {
	if r.id == "" {
		r.date, r.id = time.Now(), message.NewID(domain)
	}
	d.Date, d.ID = r.date, r.id
}

// mailbox returns what is to stand in a field of the header in place of a, and
// why: an address, and the name for it where there is none.
func (u *rules) mailbox(field string, a envelope.Address) (to message.Mailbox, why string, err error) {
	switch {
	case isSenderField(field):
	case !u.shown.IsNull() && isRecipientField(field) && u.local(a) && strings.EqualFold(a.Local(), u.alias.Local()):
		return message.Mailbox{Address: u.shown}, "an alias, and nobody else gets the message", nil
	default:
		to.Address, why, err = u.recipient(a)
		return to, why, err
	}
	to.Address, why, err = u.sender(a)
	if to.Address != a && strings.HasSuffix(strings.ToLower(field), "from") {
		to.Name = u.nameOf(&a)
	}
	return to, why, err
}

// nameOf returns the name for a sender whose address is replaced, if that says
// which host it is; sender may be nil.
func (u *rules) nameOf(sender *envelope.Address) string {
	if sender == nil || u.s.Config.Domain != "" {
		return ""
	}
	return u.s.nameHere(*sender)
}

// isSenderField reports whether a field says who sends, rather than to whom.
func isSenderField(field string) bool {
	name := strings.TrimPrefix(strings.ToLower(field), "resent-")
	return name == "from" || name == "sender"
}

// isRecipientField reports whether a field says to whom the message goes, rather
// than who sends it or hears of it.
func isRecipientField(field string) bool {
	switch strings.TrimPrefix(strings.ToLower(field), "resent-") {
	case "to", "cc", "apparently-to":
		return true
	}
	return false
}

// rules are what an account does to local names, so that cron's mail passes a
// provider that takes only the account's own address. With a domain set, a
// bare name becomes NAME@domain, and nothing is replaced. Before that the
// alias file says to whom a local recipient's mail goes.
type rules struct {
	s        *Submitter
	account  *config.Account
	own      envelope.Address // the account's own address; null if it has none
	warnings []string         // what is wrong with the alias file

	aliased map[string]bool  // the keys of what has an alias, of what was resolved
	alias   envelope.Address // what stands in the header as shown; see show
	shown   envelope.Address // null: nothing does
}

func newRules(s *Submitter, a *config.Account) *rules {
	own, _ := a.Address()
	return &rules{s: s, account: a, own: own, aliased: make(map[string]bool)}
}

// A resolved recipient is one that a server is to be given.
type resolved struct {
	address envelope.Address
	why     string // it is that one, as the end of its origin
	discard bool   // none is: the mail is thrown away
}

// resolve returns whom the mail for w goes to, through aliases and the rules.
func (u *rules) resolve(w Wanted) ([]resolved, error) {
	targets := []config.Target{{Address: w.Address}}
	if !w.NoAliases && u.local(w.Address) {
		to, err := u.expand(w.Address)
		if err != nil {
			return nil, err
		}
		if len(to) > 0 {
			targets = to
			u.aliased[w.Address.Key()] = true
		}
	}
	var list []resolved
	for _, t := range targets {
		if t.Discard {
			list = append(list, resolved{why: instead(w.Address, t.Why), discard: true})
			continue
		}
		address, why, err := u.recipient(t.Address)
		if err != nil {
			return nil, err
		}
		list = append(list, resolved{address: address, why: instead(w.Address, t.Why) + instead(t.Address, why)})
	}
	return list, nil
}

// expand looks name up in the alias file. What is wrong with the file's lines
// stops no mail.
func (u *rules) expand(name envelope.Address) ([]config.Target, error) {
	aliases, err := u.s.Config.LocalAliases()
	if err != nil || aliases == nil {
		return nil, err
	}
	to, tooMany := aliases.Expand(name, u.local)
	if tooMany != nil {
		u.warn(tooMany.Error())
	}
	if n := len(aliases.Faults); n > 0 {
		text := aliases.Faults[0]
		if n > 1 {
			text += fmt.Sprintf("; and %d more: see newaliases", n-1)
		}
		u.warn(text)
	}
	return to, nil
}

// warn tells, once a process, what stops no mail but somebody should mend.
func (u *rules) warn(text string) {
	if slices.Contains(u.warnings, text) {
		return
	}
	u.warnings = append(u.warnings, text)
	if u.s.Warned != nil {
		if _, again := u.s.Warned.LoadOrStore(text, true); again {
			return
		}
	}
	u.s.Log.Warning(text)
	u.s.tell("warning: "+text, nil)
}

// senderOf returns the reverse-path of a request, and where it came from.
func (u *rules) senderOf(r *Request) (envelope.Address, string, error) {
	if r.Sender == nil {
		return u.defaultSender()
	}
	if r.Sender.IsNull() {
		return *r.Sender, "-f, the null sender", nil
	}
	address, why, err := u.sender(*r.Sender)
	return address, "-f" + instead(*r.Sender, why), err
}

// instead says in place of what an address stands, and why; "" if there is no
// reason, because it stands as it was.
func instead(a envelope.Address, why string) string {
	if why == "" {
		return ""
	}
	return fmt.Sprintf("; for %s: %s", a, why)
}

// defaultSender is who sends when nobody says: the account, or else the user.
func (u *rules) defaultSender() (envelope.Address, string, error) {
	if !u.own.IsNull() {
		return u.own, "the account's own address", nil
	}
	login, err := envelope.Parse(u.s.Identity.Login)
	if err != nil {
		return envelope.Address{}, "", status.Config.Errorf("no sender: %w", err)
	}
	address, why, err := u.sender(login)
	return address, "who runs sendoff" + instead(login, why), err
}

// sender applies the rules to one that sends. why is "" if they leave it alone.
func (u *rules) sender(a envelope.Address) (_ envelope.Address, why string, _ error) {
	switch {
	case a.IsNull():
		return a, "", nil
	case u.forced(a):
		return u.own, "force-sender", nil
	case u.s.Config.Domain == "" && !u.own.IsNull() && u.s.isLocalSender(a) && !u.known(a):
		return u.own, "a local name, which becomes the account's own address", nil
	}
	return u.qualify(a)
}

// forced reports whether the account insists on its own address in place of a.
func (u *rules) forced(a envelope.Address) bool {
	return u.account.ForceSender && !u.own.IsNull() && !a.IsNull() && a.Key() != u.own.Key()
}

// local reports whether a as a recipient is a name of this host.
func (u *rules) local(a envelope.Address) bool {
	return !a.IsNull() && u.s.isLocal(a) && !u.knownDomain(a.Domain())
}

// recipient applies the rules to one that receives.
func (u *rules) recipient(a envelope.Address) (_ envelope.Address, why string, _ error) {
	if u.s.Config.Domain == "" && !u.own.IsNull() && u.local(a) {
		return u.own, "a local name, whose mail goes to the account's own address", nil
	}
	return u.qualify(a)
}

// qualify gives a bare name a domain.
func (u *rules) qualify(a envelope.Address) (envelope.Address, string, error) {
	if a.IsNull() || a.Domain() != "" {
		return a, "", nil
	}
	domain := cmp.Or(u.s.Config.Domain, u.fallback())
	q, err := a.Qualify(domain)
	if err != nil {
		return a, "", status.Config.Errorf("domain: %w", err)
	}
	return q, "it had no domain", nil
}

// fallback is the domain of this host, as well as it is known.
func (u *rules) fallback() string {
	id := u.s.Identity
	return cmp.Or(u.s.Config.Domain, id.Mailname, id.FQDN, id.Hostname, "localhost")
}

// known reports whether a is a sender of some account.
func (u *rules) known(a envelope.Address) bool {
	for _, account := range append([]*config.Account{u.account}, u.s.Config.Accounts...) {
		if account.Matches(a) {
			return true
		}
	}
	return false
}

// knownDomain reports whether some account has senders in domain.
func (u *rules) knownDomain(domain string) bool {
	for _, account := range append([]*config.Account{u.account}, u.s.Config.Accounts...) {
		for _, p := range account.From {
			if domain != "" && p.HasDomain(domain) {
				return true
			}
		}
	}
	return false
}
