package machine

import (
	"os"
	"strings"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// nobody is the user who owns no file, here without a queue: a mail in it would count as
// sent.
var nobody = process.User{UID: 65534, GID: 65534, Queue: os.DevNull}

// Test sends a mail through the socket, as a user who can read no password. The error is
// that of this user's sendoff, or says that the mail has got no further than the service's
// queue.
func (m *Machine) Test(to, mail string) error {
	before, _ := m.waiting()
	var said strings.Builder
	cmd, err := process.StartAs(nobody, strings.NewReader(mail), &said, "--config", at(usersFile), "--account", m.Name, to)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return status.Temporary.Errorf("the user nobody cannot send: %w: %s", err, status.Line(said.String(), 400))
	}
	if after, why := m.waiting(); after > before {
		return status.Temporary.Errorf("the service has the test mail in its queue: %s", why)
	}
	return nil
}

// waiting returns how many messages are queued, or have failed, in the queue of the
// service, and why the first of them is.
func (m *Machine) waiting() (n int, why string) {
	folder := config.ServiceQueue(m.Config)
	uid, ok := process.OwnerOf(folder)
	if !ok {
		return 0, ""
	}
	q, err := queue.Existing(folder, uid)
	if err != nil || q == nil {
		return 0, ""
	}
	for e := range q.Entries() {
		if n++; why == "" && e != nil {
			why = e.Why()
		}
	}
	failed, _ := q.CountFailed()
	return n + failed, why
}
