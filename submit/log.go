package submit

import "sendoff/submit/queue"

func (s *Submitter) logQueued(e *queue.Entry) {}
func (s *Submitter) logFault(err error)       {}
func (s *Submitter) logAttempt(t *attempt)    {}
func (s *Submitter) logNotice(e *queue.Entry) {}
func (s *Submitter) logFailed(e *queue.Entry) {}
