package submit

import (
	"sendoff/submit/envelope"
	"sendoff/submit/message"
)

// A substitute is a mail from the account's own address, to be sent where the server
// refuses the null sender. Many providers accept no other sender from a login, and cron
// names the null sender for all its mail (cronie 1.7).
//
// Whoever names the null sender wants no notices: the substitute has NOTIFY=NEVER, and a
// field in its header that tells vacation programs not to answer. If the message is an
// automatic one, such as a vacation program's, the substitute goes to the account's own
// address only: two vacation programs would otherwise answer each other for ever.
type substitute struct {
	envelope envelope.Envelope
	to       []int // indexes in Job.To of the recipients that may get the substitute
	message  *message.Message
	changes  []message.Change
}

// newSubstitute returns the substitute for the mail of j; nil if its sender is not the
// null sender, or no recipient may get the substitute.
func (j *Job) newSubstitute() *substitute {
	own, ok := j.account.Address()
	if !j.Envelope.From.IsNull() || !ok {
		return nil
	}
	automatic := j.Message.Automatic()
	e := j.Envelope
	e.From, e.To = own, j.recipients()
	e.UTF8 = e.UTF8 || own.UTF8()
	var allowed []int
	for i := range e.To {
		e.To[i].Notify = envelope.NotifyNever
		if !automatic || e.To[i].Address.Key() == own.Key() {
			allowed = append(allowed, i)
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	m := j.Message.Copy()
	return &substitute{envelope: e, to: allowed, message: m, changes: m.MarkAutomatic()}
}

// replaceNull makes a substitute for j. If the account has force-sender and all
// recipients may get the substitute, the substitute becomes the mail of j at once.
func (j *Job) replaceNull() {
	j.fallback = j.newSubstitute()
	in := j.fallback
	if in == nil || !j.account.ForceSender || len(in.to) < len(j.To) {
		return
	}
	j.fallback = nil
	j.From = "the account's own address; for <>: force-sender"
	j.Envelope.From, j.Envelope.UTF8 = in.envelope.From, in.envelope.UTF8
	for i := range j.To {
		j.To[i].Notify = envelope.NotifyNever
	}
	for _, c := range in.changes {
		j.Changes = append(j.Changes, c.String())
	}
	in.message.Close()
	j.Message.MarkAutomatic()
}
