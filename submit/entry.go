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
		ID:       r.logID(),
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

// choiceOf returns what chooses the account of an entry.
func choiceOf(e *queue.Entry) config.Choice {
	by := config.ParseChoice(e.Account)
	if e.Sender != nil {
		by.Sender = *e.Sender
	}
	if e.Author != nil {
		by.Header = *e.Author
	}
	return by
}

// requestOf makes of an entry what its caller asked for, but message and account.
func requestOf(e *queue.Entry) *Request {
	r := &Request{Sender: e.Sender, FullName: e.FullName, UserName: e.UserName}
	r.Envelope = envelope.Envelope{Body: e.Body, Return: e.Return, ID: e.Envelope, RequireTLS: e.TLS}
	for _, to := range e.To {
		if !to.Refused {
			r.To = append(r.To, Wanted{to.Recipient, "queue", to.NoAliases})
		}
	}
	return r
}

// choose finds the account for the request of an entry.
func (s *Submitter) choose(r *Request, e *queue.Entry) error {
	by := choiceOf(e)
	loaded, err := s.load(by.CommandLine)
	if err != nil {
		return err
	}
	r.By = by
	r.Account, r.Why, err = loaded.Choose(by)
	return err
}
