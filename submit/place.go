package submit

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/throttle"
)

// OpenQueue opens the queue of the user that id is, where c puts it:
//
//	queue = "FOLDER"      there
//	nothing               /var/spool/sendoff/UID if an administrator has made the
//	                      folder for all, else .local/state/sendoff at home
//	queue = "off"         nowhere
//
// Where the first is not fit to be used, warn hears of it, and the home folder
// serves. With a nil error there is a queue. A folder that cannot be made for
// want of rights is nowhere, too; see NoQueue.
func OpenQueue(c *config.Config, id config.Identity, warn func(text string)) (*queue.Queue, error) {
	if c.Queue == config.Off {
		return nil, errNoQueue(`queue = "off"`)
	}
	places := []string{c.Queue}
	if c.Queue == "" {
		places = []string{queue.Shared}
	}
	if folder := homeFolder(id); folder != "" {
		places = append(places, folder)
	}
	var first error
	for _, folder := range places {
		q, err := openQueue(folder, id.UID)
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
		first = errNoQueue("there is no folder for a queue: no /var/spool/sendoff, and no home; SENDOFF_QUEUE=/FOLDER names one")
	}
	return nil, first
}

// OldQueues returns the queues that a user has in the other places where one is
// by default, if mail waits in them: from before an administrator has made the
// folder for all, or from a time when the configuration or its folder was not
// fit to be used. q may be nil.
func OldQueues(id config.Identity, q *queue.Queue) []*queue.Queue {
	var old []*queue.Queue
	for _, folder := range []string{queue.Shared, homeFolder(id)} {
		if folder == "" || folder == queue.Shared && !queue.IsShared(folder) {
			continue
		}
		other, err := queue.Existing(folder, id.UID)
		if err == nil && (q == nil || other.String() != q.String()) && waiting(other) {
			old = append(old, other)
		}
	}
	return old
}

// homeFolder returns where the queue at home is; "" without a home.
func homeFolder(id config.Identity) string {
	if id.Home == "" || !filepath.IsAbs(id.Home) || id.Home == "/" {
		return ""
	}
	return filepath.Join(id.Home, ".local/state/sendoff")
}

func openQueue(folder string, uid int) (*queue.Queue, error) {
	q, err := queue.Existing(folder, uid)
	if queue.IsShared(folder) && err != nil || errors.Is(err, fs.ErrNotExist) && folder != queue.Shared {
		q, err = queue.Open(folder, uid)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return nil, errNoQueue(err.Error()) // nor does anything wait there
		}
	}
	return q, err
}

// NoQueue reports whether err says that there is to be no queue.
func NoQueue(err error) bool { return errors.As(err, new(errNoQueue)) }

// Forget forgets that the account could not be used, because a person has done
// something about it.
func (s *Submitter) Forget(a *config.Account) { s.throttle().Forget(throttle.Key(a)) }
