package submit

import (
	"fmt"

	"sendoff/submit/notify"
)

// Event is one of which a person is told as the configuration says.
func (s *Submitter) Event(name string, about ...string) notify.Event {
	return notify.Event{
		Command: s.Config.NotifyCommand, Home: s.Smarthosts.Secrets.Store.Home, Folder: s.Queue.FailedFolder(), Log: s.Log,
		Name: name, About: about,
	}
}

// Dropped returns the event of entries that have left failed by its bounds, with a
// line of the log for each; false if there are none.
func (s *Submitter) Dropped() (e notify.Event, ok bool) {
	if s.Queue == nil {
		return e, false
	}
	all := s.Queue.TakeDropped()
	for _, e := range all {
		s.Log.Line(e.ID, true, "status", notify.Dropped, "reply", "from failed, where there is too much, or it is too old: "+e.Why())
	}
	if len(all) == 0 {
		return e, false
	}
	return s.Event(notify.Dropped, append(notify.AboutEntry(all[0]), fmt.Sprintf("SENDOFF_EVENT_COUNT=%d", len(all)))...), true
}
