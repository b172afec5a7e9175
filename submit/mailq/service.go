package mailq

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/queue"
)

// Where the service of the machine has its configuration, beside that of the system, and
// its queue, unless the configuration names another folder.
const (
	serviceFile  = "service.toml"
	serviceQueue = "/var/lib/sendoff/queue"
)

// Service returns, for root, the user and the queue of the service that sends for the
// machine: an account of c leads to the socket that its configuration names (listen). It
// reports false if there is no service, or if root sees its queue among those of all users.
// If the service's configuration has a fault, which its queue tells, its usual queue counts.
func Service(c *config.Config, id config.Identity) (u queue.User, ok bool) {
	system := (config.Override{}).Paths(id).System
	service, err := config.Load(config.Paths{Explicit: filepath.Join(filepath.Dir(system), serviceFile), Home: id.Home})
	if err != nil {
		if _, missing := os.Lstat(filepath.Join(filepath.Dir(system), serviceFile)); errors.Is(missing, fs.ErrNotExist) {
			return u, false
		}
		service = config.Default()
	}
	leads := slices.ContainsFunc(c.Accounts, func(a *config.Account) bool {
		return slices.ContainsFunc(a.Servers, func(s config.Server) bool {
			return s.Kind() == config.Socket && (s.Path == strings.TrimPrefix(service.Listen, "unix:") || err != nil)
		})
	})
	u.Queue = cmp.Or(service.Queue, filepath.Join("/", config.Root(), serviceQueue))
	if u.UID, ok = process.OwnerOf(u.Queue); !ok || !leads || strings.HasPrefix(u.Queue, queue.Shared+"/") {
		return queue.User{}, false
	}
	return u, true
}
