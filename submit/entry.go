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

// Of returns s with the configuration, and the home, of entries that say where both
// are.
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

// In returns s with another queue. This is the only copy of a Submitter.
func (s *Submitter) In(q *queue.Queue) *Submitter {
	other := *s
	other.Queue, other.Smarthosts = q, s.Smarthosts.Clone()
	return &other
}
