package submit

import (
	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// entry returns an entry for r, without recipients.
func (s *Submitter) entry(r *Request) *queue.Entry {
	author := envelope.Address{}
	if r.Message != nil {
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

// Of returns a copy of s with the configuration that files leads to, and with the home
// of the user who queued the entry.
func (s *Submitter) Of(files config.Override) (*Submitter, error) {
	other := s.In(s.Queue)
	if s.Load != nil {
		var err error
		if other.Config, err = s.Load(files); err != nil {
			return nil, err
		}
		other.Log = s.Log.Like(other.Config)
	}
	other.Smarthosts.Secrets.Store.Home = files.Paths(s.Identity).Home // of whoever queued the entry
	return other, nil
}

// In returns a copy of s with another queue. A Submitter is copied nowhere else.
func (s *Submitter) In(q *queue.Queue) *Submitter {
	other := *s
	other.Queue, other.Smarthosts = q, s.Smarthosts.Clone()
	return &other
}
