package mailq

import (
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// Service returns, for root, the user and the queue of the service that sends for the
// machine: an account of c leads to the socket that its configuration names (listen). It
// reports false if there is no service, or if root sees its queue among those of all users.
// If the service's configuration has a fault, which its queue tells, its usual queue counts.
func Service(c *config.Config, id config.Identity) (u queue.User, ok bool) {
	service, err := config.LoadService(id)
	if service == nil && err == nil || !slices.ContainsFunc(c.Accounts, func(a *config.Account) bool { return a.LeadsTo(service) }) {
		return u, false
	}
	u.Queue = config.ServiceQueue(service)
	if u.UID, ok = process.OwnerOf(u.Queue); !ok || strings.HasPrefix(u.Queue, queue.Shared+"/") {
		return queue.User{}, false
	}
	return u, true
}
