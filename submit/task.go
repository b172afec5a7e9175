package submit

import (
	"context"
	"io"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A Task is something to do in all of a user's queue.
type Task uint8

// The tasks.
const (
	TaskList   Task = iota
	TaskFailed      // ListFailed
	TaskJSON
	TaskCount
	TaskStatus // StatusJSON
	TaskLost   // the number of entries that were given up
	TaskNow    // -q
	TaskDue    // --queue-run
)

// Do does task in the queue with those of their entries that
// match. It returns how many entries there are; what becomes of the mail of a run
// is for a list to say.
func (s *Submitter) Do(ctx context.Context, w io.Writer, task Task, match func(*queue.Entry) bool) (entries int, err error) {
	if s.Queue == nil {
		return 0, nil
	}
	switch task {
	case TaskList:
		return List(w, s.Queue)
	case TaskFailed:
		return ListFailed(w, s.Queue)
	case TaskJSON:
		return 0, ListJSON(w, s.Queue, process.UserName(s.Identity.UID), s.Identity.UID)
	case TaskCount:
		ids, err := s.Queue.IDs()
		return len(ids), err
	case TaskStatus:
		return 0, StatusJSON(w, s.Queue)
	case TaskLost:
		return s.Queue.CountFailed()
	}
	_, entries, err = s.Run(ctx, Selection{Now: task == TaskNow, Match: match})
	return entries, status.Temporary.Wrap(err)
}

// Left returns how many entries wait.
func (s *Submitter) Left() int {
	n, _ := s.Do(context.Background(), io.Discard, TaskCount, nil)
	return n
}
