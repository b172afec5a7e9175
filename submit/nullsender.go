package submit

import (
	"sendoff/submit/envelope"
	"sendoff/submit/message"
)

// A substitute is how the mail of the null sender goes where a server refuses that
// sender: from the account's own address. Many providers take no other from a
// login, and cron names the null sender for all its mail (cronie 1.7).
//
// Whoever named the null sender wants no notices: NOTIFY=NEVER, and a mark in the
// header for vacation programs. To what is automatic an answer must not come
// either, or two vacation programs would answer each other for ever: it goes to
// the account's own address only, whoever else it is for.
type substitute struct {
	envelope envelope.Envelope
	to       []int // those of the recipients who may get it, by index
	message  *message.Message
	changes  []message.Change
}

// newSubstitute returns how the mail of j goes in place of the null sender; nil if
// that is not its sender, or nobody may get it.
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

// replaceNull sends j from the account's own address at once, if the account
// insists on that and all of its recipients may get it so.
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
