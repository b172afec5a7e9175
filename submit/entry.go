package submit

import (
	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// entry makes an entry of r, without recipients.
func (s *Submitter) entry(r *Request) *queue.Entry {
	author := envelope.Address{}
	if r.Message != nil { // else it could not be read
		from, _ := r.Message.From()
		author = from.Address
	}
	var client *int
	if r.Peer != (process.Peer{}) {
		client = &r.Peer.UID
	}
	return &queue.Entry{
		ID:       r.ID(),
		Sender:   r.Sender,
		Author:   &author,
		Client:   client,
		FullName: r.FullName,
		UserName: r.UserName,
		Body:     r.Envelope.Body,
		Return:   r.Envelope.Return,
		Envelope: r.Envelope.ID,
		TLS:      r.Envelope.RequireTLS,
		Account:  r.By.Lines(r.Account),
	}
}

// ChoiceOf returns what chooses the account of an entry.
func ChoiceOf(e *queue.Entry) config.Choice {
	by := config.ParseChoice(e.Account)
	if e.Sender != nil {
		by.Sender = *e.Sender
	}
	if e.Author != nil {
		by.Header = *e.Author
	}
	return by
}

// RequestOf makes of an entry what its caller asked for, but message and account.
func RequestOf(e *queue.Entry) *Request {
	r := &Request{Sender: e.Sender, FullName: e.FullName, UserName: e.UserName}
	r.Envelope = envelope.Envelope{Body: e.Body, Return: e.Return, ID: e.Envelope, RequireTLS: e.TLS}
	for _, to := range e.To {
		if !to.Refused {
			r.To = append(r.To, Wanted{to.Recipient, "queue", to.NoAliases})
		}
	}
	return r
}

// Resume makes a job of the request of an entry again: it finds the account in the
// configuration of s, which is the entry's (Of), and applies aliases and the account's
// rules anew.
func (s *Submitter) Resume(r *Request, e *queue.Entry) (*Job, error) {
	r.By = ChoiceOf(e)
	var err error
	if r.Account, r.Why, err = s.Config.Choose(r.By); err != nil {
		return nil, err
	}
	return s.prepare(r)
}

// Of returns s with the configuration, and the home, of entries that say where both
// are. This is the only copy of a Submitter.
func (s *Submitter) Of(files config.Override) (*Submitter, error) {
	other := *s
	if s.Load != nil {
		var err error
		if other.Config, err = s.Load(files); err != nil {
			return nil, err
		}
		other.Log = s.Log.Like(other.Config)
	}
	other.Smarthosts = s.Smarthosts.Clone()
	other.Smarthosts.Secrets.Store.Home = files.Paths(s.Identity).Home // of whoever queued the entry
	return &other, nil
}
