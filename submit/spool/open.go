// Package spool finds the folder of a user's queue, and makes sure that something runs
// the queue.
//
//	queue = "FOLDER"      the queue is in FOLDER
//	no setting queue      in /var/spool/sendoff/UID if an administrator has made
//	                      /var/spool/sendoff, else in ~/.local/state/sendoff
//	queue = "off"         there is no queue
//
// Mail may also wait in another default folder (Elsewhere).
//
//	open.go     the folders
//	runner.go   the process that runs the queue, and who starts it
//	timer.go    a timer that runs the queue instead
//	units.go    makes the folder for all users, and the timer
//
// The package must not know messages, sessions or accounts.
//
// Errors: an Absent if there is no queue, because the configuration wants none or no
// folder can be made; all others are the disk's.
package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"sendoff/config"
	"sendoff/submit/queue"
)

// A Spool is a user's queue, and the ways to get it run.
type Spool struct {
	Queue   *queue.Queue // nil: there is no queue
	NoQueue string       // why there is no queue, in words
	Runner  string       // the setting runner

	// Start starts a process that runs the queue in a folder. nil: no process can be
	// started.
	Start func(folder string) error
	// Outlives says why a process that we start would not outlive us, "" if it would
	// or that is unknown. try says whether to start it. nil: it would outlive us.
	Outlives func() (why string, try bool)
}

// Absent is the error if there is no queue. Its text says why.
type Absent string

// Error implements error.
func (e Absent) Error() string { return string(e) }

// Open opens the queue of the user id, in the folder that c configures. If that folder
// cannot be used, Open uses the folder at home, and calls warn.
func Open(c *config.Config, id config.Identity, warn func(text string)) (*queue.Queue, error) {
	switch {
	case queue.Unsupported != "":
		return nil, Absent(queue.Unsupported)
	case c.Queue == config.Off:
		return nil, Absent(`queue = "off"`)
	}
	folders := []string{cmp.Or(c.Queue, queue.Shared)}
	if folder := homeFolder(id); folder != "" {
		folders = append(folders, folder)
	}
	var first error
	for _, folder := range folders {
		q, err := open(folder, id.UID)
		if err == nil {
			q.MaxBytes.Store(int64(c.QueueLimit))
			if first != nil {
				warn(fmt.Sprintf("%v; the queue is in %s", first, q))
			}
			return q, nil
		}
		if first == nil && !(folder == queue.Shared && errors.Is(err, fs.ErrNotExist)) {
			first = fmt.Errorf("queue: %w", err)
		}
	}
	if first == nil {
		first = Absent("there is no folder for a queue, neither /var/spool/sendoff nor a home folder; name one: SENDOFF_QUEUE=/FOLDER")
	}
	return nil, first
}

// Elsewhere returns the user's other queues, not q, in which mail waits. It looks in the
// default folders only. The mail may be from a time before the administrator made the
// folder for all users, or before the configuration or its folder was mended. q may be
// nil.
func Elsewhere(id config.Identity, q *queue.Queue) []*queue.Queue {
	var others []*queue.Queue
	for _, folder := range []string{queue.Shared, homeFolder(id)} {
		if folder == "" || folder == queue.Shared && !queue.IsShared(folder) {
			continue
		}
		other, err := queue.Existing(folder, id.UID)
		if err == nil && (q == nil || other.String() != q.String()) && other.Waits(nil) {
			others = append(others, other)
		}
	}
	return others
}

// homeFolder returns the folder of the queue at home; "": the user has no home.
func homeFolder(id config.Identity) string {
	if id.Home == "" || !filepath.IsAbs(id.Home) || id.Home == "/" {
		return ""
	}
	return filepath.Join(id.Home, ".local/state/sendoff")
}

// open opens the user's queue in a folder, and makes it if there is none. It never makes
// the folder for all users.
func open(folder string, uid int) (*queue.Queue, error) {
	q, err := queue.Existing(folder, uid)
	if queue.IsShared(folder) && err != nil || errors.Is(err, fs.ErrNotExist) && folder != queue.Shared {
		q, err = queue.Open(folder, uid)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return nil, Absent(err.Error()) // it does not exist, so no mail waits in it either
		}
	}
	return q, err
}
