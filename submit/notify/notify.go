// Package notify tells a person of an event: it runs the command of the setting
// notify-command.
//
//	failed      a message was given up, and its sender cannot be told by mail
//	dropped     entries were removed from failed, because of its limits
//	fault       an account has had a fault for an hour
//	waiting     a message has waited for an hour
//	recovered   a fault, or a wait, is over
//
// The command gets the event in its environment, as SENDOFF_EVENT and other variables.
// No part of the event becomes a word of the command line.
//
// The package must not know messages, sessions or accounts. It returns no errors: the
// failure of a command is logged.
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

// The names of events: the values of SENDOFF_EVENT.
const (
	Failed    = "failed"
	Dropped   = "dropped"
	Fault     = "fault"
	Waiting   = "waiting"
	Recovered = "recovered"
)

// An Event is something that a person is told of. The zero Event is told to nobody.
type Event struct {
	Command string // the setting notify-command; "": nobody is told
	Home    string // the home folder, for ~ in Command
	Folder  string // queue.Queue.FailedFolder
	Log     *maillog.Log

	Name  string   // Failed, for example
	About []string // more variables for the environment, NAME=VALUE each
}

// AboutEntry returns the variables that describe an entry, for Event.About.
func AboutEntry(e *queue.Entry) []string {
	sender := ""
	if e.Sender != nil {
		sender = e.Sender.String()
	}
	return []string{"SENDOFF_ID=" + string(e.ID), "SENDOFF_SENDER=" + sender, "SENDOFF_REASON=" + e.Why()}
}

// TakeDropped logs each entry that q has removed from failed because of its bounds, and
// returns e with their number and the first of them. It returns the zero Event if q has
// removed none.
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

// Tell runs the command, and waits for its end. It returns true if the command was
// killed after 30 seconds.
func (e Event) Tell() (timedOut bool) {
	if e.Command == "" {
		return false
	}
	argv, err := process.Argv(e.Command, e.Home)
	if err != nil {
		return false // cannot happen: config has checked the command
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

// A List holds events that one goroutine tells later, so that no session waits for a
// command.
type List struct {
	mu      sync.Mutex
	events  []Event
	telling bool
}

// Add adds e to the list. A nil List runs the command of e at once.
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

// Begin reports whether the caller must call TellAll: there are events, and no other
// goroutine tells them.
func (l *List) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.telling || len(l.events) == 0 {
		return false
	}
	l.telling = true
	return true
}

// IsTelling reports whether a goroutine tells events.
func (l *List) IsTelling() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.telling
}

// TellAll tells one event after the other, until the list is empty. After a command that
// took too long, or when ctx has ended, it only logs how many events are left, because
// each would take as long.
func (l *List) TellAll(ctx context.Context) {
	timedOut := false
	for events := l.take(); len(events) > 0; events = l.take() {
		for i, e := range events {
			if timedOut || ctx.Err() != nil {
				e.Log.Fault(fmt.Errorf("notify-command was not run for %d more events; they are in the log", len(events)-i))
				break
			}
			if bug := process.Guarded(func() { timedOut = e.Tell() }); bug != nil {
				e.Log.Fault(bug)
			}
		}
	}
}

// take removes and returns all events. If there are none, it notes that telling is over.
func (l *List) take() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events, l.telling = nil, len(events) > 0
	return events
}
