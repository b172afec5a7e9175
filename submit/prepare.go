package submit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/rewrite"
	"sendoff/submit/status"
)

// Prepare makes a job of r, and writes to the log who submits r. If the rules find that
// r cannot be sent, all recipients of the job have that error as their outcome.
func (s *Submitter) Prepare(r *Request) *Job {
	j, err := s.Resume(r)
	s.logSubmission(r)
	if err != nil {
		return FailedJob(r, err)
	}
	s.LogDiscarded(j)
	if len(j.To) == 0 {
		s.Console.Tell("nothing was sent: "+j.Discarded[0].Why+": the mail is discarded", nil)
	}
	return j
}

// Resume makes a job of r: it applies aliases and the account's rules to sender, local
// names and header. It writes no line to the log, as for a message from the queue, or
// one that --dry-run explains. The message of r does not change. The caller closes the
// job.
func (s *Submitter) Resume(r *Request) (*Job, error) {
	j := newJob(r)
	j.Message = r.Message.Copy()
	h := &header{Rules: rewrite.New(s.Config, s.Identity, r.Account)}
	var err error
	if j.Envelope.From, j.From, err = h.SenderOf(r.Sender, cmp.Or(r.SenderBy, "-f")); err == nil {
		err = s.addRecipients(r, j, h)
	}
	if err == nil {
		err = s.complete(r, j, h)
	}
	if err == nil {
		err = j.declare()
	}
	if err != nil {
		j.Close()
		return nil, err
	}
	j.Hello = h.HelloName(j.Envelope.From)
	j.replaceNull()
	return j, nil
}

// declare sets BODY and SMTPUTF8 as the message needs them, and refuses a message that
// is over max-size, or whose header contradicts --require-tls.
func (j *Job) declare() error {
	survey := j.Message.Survey()
	if limit := int64(j.account.MaxSize); limit > 0 && survey.Size > limit {
		return status.TooBig.Errorf("the message has %d octets, max-size allows %d", survey.Size, limit)
	}
	if j.Envelope.RequireTLS && j.Message.TLSOptional() {
		return status.Data.Errorf("the message says TLS-Required: No, so it cannot be sent with --require-tls")
	}
	if survey.EightBit { // even if the caller declared 7BIT
		j.Envelope.Body = envelope.Body8BitMIME
	}
	needsUTF8 := func(to Recipient) bool { return to.Address.UTF8() }
	j.Envelope.UTF8 = survey.UTF8 || j.Envelope.From.UTF8() || slices.ContainsFunc(j.To, needsUTF8)
	return nil
}

// addRecipients adds to j the recipients that r.To resolve to, each address once.
func (s *Submitter) addRecipients(r *Request, j *Job, h *header) error {
	at := make(map[string]int, len(r.To)) // in j.To, by the address's key
	j.To = make([]Recipient, 0, len(r.To))
	indexes := make([]int, len(r.To)) // most names resolve to one address: its Named has room for one
	shows := true
	for i, w := range r.To {
		resolved, err := s.Resolve(w, h.Rules)
		if err != nil {
			return err
		}
		shows = shows && resolved.Aliased && strings.EqualFold(w.Address.Local(), r.To[0].Address.Local())
		for _, text := range resolved.Faults {
			if !slices.Contains(j.Warnings, text) {
				j.Warnings = append(j.Warnings, text)
				s.Log.Warning(text) // a fault in the alias file stops no mail, but somebody should mend it
				s.Console.TellOnce("warning: " + text)
			}
		}
		for _, to := range resolved.To {
			if to.Discard {
				j.Discarded = append(j.Discarded, rewrite.Recipient{Address: w.Address, Why: w.Origin + to.Why, Discard: true})
				continue
			}
			n, isKnown := at[to.Address.Key()]
			if !isKnown {
				n = len(j.To)
				at[to.Address.Key()] = n
				recipient := Recipient{Recipient: w.Recipient, Named: indexes[i : i : i+1], Why: w.Origin + to.Why}
				recipient.Address = to.Address
				j.To = append(j.To, recipient)
			}
			j.To[n].Named = append(j.To[n].Named, i)
		}
	}
	if len(j.To)+len(j.Discarded) == 0 {
		return status.Usage.Errorf("no recipients")
	}
	if shows && len(j.To) == 1 && len(j.Discarded) == 0 {
		h.alias, h.shown = r.To[0].Address, j.To[0].Address
	}
	return nil
}

// Resolve returns whom the mail for w goes to. The alias file is read only for a name
// of this host.
func (s *Submitter) Resolve(w Wanted, rules *rewrite.Rules) (rewrite.Resolution, error) {
	var aliases *config.Aliases
	if !w.NoAliases && rules.IsLocal(w.Address) {
		var err error
		if aliases, err = s.Config.LocalAliases(); err != nil {
			return rewrite.Resolution{}, err
		}
	}
	return rules.Resolve(w.Address, aliases)
}

// A header applies the rules to the addresses in a message's header. If an alias stands
// for one address, and the message goes to nobody else, the header shows that address
// in place of the alias: no other recipient can learn the address from it.
type header struct {
	*rewrite.Rules
	alias envelope.Address // is replaced by shown
	shown envelope.Address // null: no alias is replaced
}

// complete gives the message the fields it must have, and the addresses in
// them the form they have in the envelope.
func (s *Submitter) complete(r *Request, j *Job, h *header) error {
	from, err := j.Envelope.From, error(nil)
	if from.IsNull() {
		if from, _, err = h.DefaultSender(); err != nil {
			return err
		}
	}
	if input, odd := j.Message.Input(); odd {
		s.Smarthosts.Remark("the input is " + input)
	}
	tidied := j.Message.Tidy(from)
	for _, c := range tidied {
		s.Smarthosts.Remark(c.String())
	}
	author, _ := j.Message.From()
	var failure error
	changes, err := j.Message.RewriteAddresses(func(field string, b message.Mailbox) (message.Mailbox, string) {
		to, why, err := h.mailbox(field, b.Address)
		failure = cmp.Or(failure, err)
		return to, why
	})
	if err := cmp.Or(failure, err); err != nil {
		return err
	}
	id := s.Identity
	defaults := message.Defaults{
		From: message.Mailbox{Name: cmp.Or(r.FullName, r.Account.FullName, r.UserName, id.FullName, h.NameFor(r.Sender)), Address: from},
	}
	r.stamp(&defaults, cmp.Or(from.Domain(), h.Domain()))
	if h.IsForced(author.Address) && !j.Message.Survey().Signed && !h.IsLocalSender(author.Address) {
		defaults.ReplyTo = author
	}
	for _, c := range slices.Concat(tidied, changes, j.Message.Complete(defaults), j.Message.EncodeHeader()) {
		j.Changes = append(j.Changes, c.String())
	}
	return nil
}

// stamp sets the date and the ID for fields that have to be added. They are the same
// each time that r is prepared.
func (r *Request) stamp(d *message.Defaults, domain string) {
	if r.id == "" {
		r.date, r.id = time.Now(), message.NewID(domain)
	}
	d.Date, d.ID = r.date, r.id
}

// mailbox returns the mailbox that replaces a in a field of the header, and why. Its
// name is used only where the field has no name for a.
func (h *header) mailbox(field string, a envelope.Address) (to message.Mailbox, why string, err error) {
	switch name := strings.TrimPrefix(strings.ToLower(field), "resent-"); name {
	case "from", "sender":
		to.Address, why, err = h.Sender(a)
		if to.Address != a && name == "from" {
			to.Name = h.NameFor(&a)
		}
		return to, why, err
	case "to", "cc", "apparently-to":
		if !h.shown.IsNull() && h.IsLocal(a) && strings.EqualFold(a.Local(), h.alias.Local()) {
			return message.Mailbox{Address: h.shown}, "an alias, and nobody else gets the message", nil
		}
	}
	to.Address, why, err = h.Recipient(a)
	return to, why, err
}
