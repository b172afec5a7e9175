// Package notify tells a person of an event, by the command that the setting
// notify-command names:
//
//	failed      a message was given up, and nobody could be told by mail
//	dropped     entries that were given up are removed, because there are too many
//	fault       an account has had a fault for an hour
//	waiting     a message has waited for an hour
//	recovered   neither is so any more
//
// The command hears of the event in its environment, as SENDOFF_EVENT and other
// variables; no word of the command is made of what it hears.
//
// The package must not know messages, sessions or accounts. It has no errors: what
// goes wrong with a command is in the log.
package notify

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"sendoff/submit/maillog"
	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// The names of events, as SENDOFF_EVENT has them.
const (
	Failed    = "failed"
	Dropped   = "dropped"
	Fault     = "fault"
	Waiting   = "waiting"
	Recovered = "recovered"
)

// An Event is one of which a person is told.
type Event struct {
	Command string // the setting notify-command; "": nobody is told
	Home    string // what ~ means in it
	Folder  string // of the entries that were given up
	Log     *maillog.Log

	Name  string
	About []string // more of the environment, NAME=VALUE each
}

// AboutEntry returns what a command hears of an entry.
func AboutEntry(e *queue.Entry) []string {
	sender := ""
	if e.Sender != nil {
		sender = e.Sender.String()
	}
	return []string{"SENDOFF_ID=" + string(e.ID), "SENDOFF_SENDER=" + sender, "SENDOFF_REASON=" + e.Why()}
}

// TakeDropped returns e about the entries that have left failed by its bounds, with a
// line of the log for each; if there are none, the zero Event, of which nobody is told.
func (e Event) TakeDropped(q *queue.Queue) Event {
	all := q.TakeDropped()
	for _, entry := range all {
		e.Log.Line(entry.ID, true, "status", Dropped, "reply", "from failed, where there is too much, or it is too old: "+entry.Why())
	}
	if len(all) == 0 {
		return Event{}
	}
	e.About = append(AboutEntry(all[0]), fmt.Sprintf("SENDOFF_EVENT_COUNT=%d", len(all)))
	return e
}

// Tell runs the command, and waits for its end. It reports whether the command took
// too long.
func (e Event) Tell() (late bool) {
	if e.Command == "" {
		return false
	}
	argv, err := process.Argv(e.Command, e.Home)
	if err != nil {
		return false // the configuration has been checked
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := process.Command(ctx, argv, false)
	cmd.Env = append(os.Environ(), "SENDOFF_EVENT="+e.Name, "SENDOFF_FOLDER="+e.Folder)
	cmd.Env = append(cmd.Env, e.About...)
	if err := process.RunCommand(cmd); err != nil {
		e.Log.Fault(fmt.Errorf("notify-command: %w", err))
	}
	return ctx.Err() != nil
}

// A List holds events of which a person is told later, by one goroutine: no session
// waits for a command.
type List struct {
	mu      sync.Mutex
	events  []Event
	telling bool
}

// Add adds e to the list. A nil List tells of e at once.
func (l *List) Add(e Event) {
	if l == nil {
		e.Tell()
		return
	}
	if e.Command == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// Begin reports whether the caller has to call TellAll, because there are events and
// nobody else does.
func (l *List) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.telling || len(l.events) == 0 {
		return false
	}
	l.telling = true
	return true
}

// IsTelling reports whether TellAll is at work.
func (l *List) IsTelling() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.telling
}

// TellAll tells of one event after the other, until there is none. After a command
// that took too long, or when ctx has ended, the rest is only counted in the log:
// each would take as long.
func (l *List) TellAll(ctx context.Context) {
	late := false
	for events := l.take(); len(events) > 0; events = l.take() {
		for i, e := range events {
			if late || ctx.Err() != nil {
				e.Log.Fault(fmt.Errorf("notify-command was not run for %d more events; they are in the log", len(events)-i))
				break
			}
			if bug := process.Guarded(func() { late = e.Tell() }); bug != nil {
				e.Log.Fault(bug)
			}
		}
	}
}

// take returns all events. Without any, telling ends.
func (l *List) take() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events, l.telling = nil, len(events) > 0
	return events
}
