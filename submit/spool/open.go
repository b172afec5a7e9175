// Package spool finds a user's queue, and sees to it that something runs it.
//
//	queue = "FOLDER"      there
//	nothing               /var/spool/sendoff/UID if an administrator has made the
//	                      folder for all, else .local/state/sendoff at home
//	queue = "off"         nowhere
//
// Mail may wait in another of these places, too (Elsewhere).
//
//	open.go     the places
//	runner.go   the process that runs the queue, and who starts it
//	timer.go    the timer that does so instead
//	units.go    makes the folder for all users, and that timer
//
// The package must not know messages, sessions or accounts.
//
// Errors: an Absent says that there is to be no queue, or can be none; all others
// are the disk's.
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

// A Spool is a user's queue, and what runs it.
type Spool struct {
	Queue   *queue.Queue // nil: nothing is queued
	NoQueue string       // why not, in words
	Runner  string       // the setting runner

	// Start starts a process that runs the queue in a folder; its error says why
	// there is none. nil: nothing can be started.
	Start func(folder string) error
	// Outlives says why a process would not outlive its caller here, "" if it would,
	// and whether to start one all the same. nil: it would.
	Outlives func() (why string, try bool)
}

// Absent is the error of a queue that is not to be, or cannot be.
type Absent string

// Error returns why there is no queue.
func (e Absent) Error() string { return string(e) }

// Open opens the queue of the user that id is, where c puts it. Where the first place
// is not fit to be used, warn hears of it, and the folder at home serves. With a nil
// error there is a queue.
func Open(c *config.Config, id config.Identity, warn func(text string)) (*queue.Queue, error) {
	if c.Queue == config.Off {
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
		first = Absent("there is no folder for a queue: no /var/spool/sendoff, and no home; SENDOFF_QUEUE=/FOLDER names one")
	}
	return nil, first
}

// Elsewhere returns the queues but q, which may be nil, that a user has in the places
// where one is by default, if mail waits in them: from before an administrator has made
// the folder for all, or from a time when the configuration or its folder was not fit
// to be used.
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

// homeFolder returns where the queue at home is; "" without a home.
func homeFolder(id config.Identity) string {
	if id.Home == "" || !filepath.IsAbs(id.Home) || id.Home == "/" {
		return ""
	}
	return filepath.Join(id.Home, ".local/state/sendoff")
}

func open(folder string, uid int) (*queue.Queue, error) {
	q, err := queue.Existing(folder, uid)
	if queue.IsShared(folder) && err != nil || errors.Is(err, fs.ErrNotExist) && folder != queue.Shared {
		q, err = queue.Open(folder, uid)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return nil, Absent(err.Error()) // nor does anything wait there
		}
	}
	return q, err
}
