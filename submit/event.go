package submit

import (
	"fmt"

	"sendoff/submit/notify"
)

// event is one of which a person is told as the configuration says.
func (s *Submitter) event(name string, about ...string) notify.Event {
	return notify.Event{
		Command: s.Config.NotifyCommand, Home: s.Smarthosts.Secrets.Store.Home, Folder: s.Queue.FailedFolder(), Log: s.Log,
		Name: name, About: about,
	}
}

// announce has a person told of an event: by the run that this belongs to, apart
// from its sessions, or now.
func (s *Submitter) announce(name string, about ...string) {
	if s.Config.NotifyCommand != "" {
		s.memory.eventList().Add(s.event(name, about...))
	}
}

// dropped tells of entries that have left failed by its bounds: a line of the log
// each, and one event for all.
func (s *Submitter) dropped() {
	if s.Queue == nil {
		return
	}
	all := s.Queue.TakeDropped()
	for _, e := range all {
		s.Log.Line(e.ID, true, "status", notify.Dropped, "reply", "from failed, where there is too much, or it is too old: "+e.Why())
	}
	if len(all) > 0 {
		s.announce(notify.Dropped, append(notify.AboutEntry(all[0]), fmt.Sprintf("SENDOFF_EVENT_COUNT=%d", len(all)))...)
	}
}
