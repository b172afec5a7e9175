package doctor

import (
	"cmp"
	"context"
	"path/filepath"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/mailq"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// These findings are for root: how other users of this machine do.

// readable judges, for root, whether all users can read the system's configuration: a user
// who cannot read it has no account, even with a configuration of their own.
func (d *doctor) readable(path string) finding {
	if d.s.Identity.UID == 0 && path == (config.Override{}).Paths(d.s.Identity).System {
		if err := process.OthersCanRead(path); err != nil {
			return noted(status.Config.Errorf("%s: %w", path, err))
		}
	}
	return fine("%s%s", path, mode(path))
}

// serviceFile judges, for root, the configuration of the machine's service, if the account
// leads to the service.
func (d *doctor) serviceFile() []finding {
	if d.s.Identity.UID != 0 || d.account == nil {
		return nil
	}
	service, err := config.LoadService(d.s.Identity)
	switch {
	case service == nil && err == nil, !d.account.LeadsTo(service):
		return nil
	case err != nil:
		return single(failing(err))
	}
	return single(fine("%s%s", config.ServiceFile(), mode(config.ServiceFile())))
}

// rootsOnly says, for root, that other users have the account but cannot read its secret.
func (d *doctor) rootsOnly(ref credential.Ref) []finding {
	path := ref.Path("")
	if d.s.Identity.UID != 0 || d.account.File != (config.Override{}).Paths(d.s.Identity).System || !filepath.IsAbs(path) {
		return nil
	}
	err := process.OthersCanRead(path)
	if err == nil {
		return nil
	}
	return single(noted(status.Credential.Errorf("%s: %w, so their mail does not leave", ref, err)).
		advised("let all users send: sudo sendoff --setup %s --for machine", d.sender))
}

// others says, for root, how each account of all other users and of the machine's service
// does, and whose mail waits because a user's account has expired.
func (d *doctor) others(ctx context.Context) (found []finding) {
	if d.s.Identity.UID != 0 || d.By.CommandLine.Config != "" {
		return nil
	}
	for _, text := range mailq.LockedOut(ctx) {
		found = append(found, noted(status.Temporary.Errorf("%s", text)))
	}
	var also []queue.User
	if u, ok := mailq.Service(d.s.Config, d.s.Identity); ok && u.UID != 0 {
		also = append(also, u)
	}
	all, err := mailq.OverviewsOf(ctx, also)
	if err != nil {
		found = append(found, noted(status.Temporary.Wrap(err)))
	}
	for _, o := range all {
		switch {
		case o.State != mailq.StateFine, o.Entries > 0 && o.Fault != "":
			text := o.Summary()
			if o.Fault != "" {
				text += "; " + o.Fault
			}
			found = append(found, noted(status.Temporary.Errorf("%s", text)).advised("%s", cmp.Or(o.Hint, "show why, and what to do: sendoff -bp -v")))
		case o.Entries > 0:
			found = append(found, fine("%s", o.Summary()))
		}
	}
	return found
}
