package trust

import (
	"net/netip"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// firstUserPort is the lowest port on which every user may listen.
const firstUserPort = 1024

// Port returns an error of kind status.Insecure if another user could read a secret that is
// sent without TLS to a port of this machine. Any user may listen on a port that nobody
// else uses, and reads what is sent there. So the port must belong to root, to the user of
// this process, to a system user, or to the account's server-user. known is false if the
// system does not say whose the port is; then the port is trusted. from is our end of the
// connection; it is invalid if there is no connection yet.
func Port(a *config.Account, port, from netip.AddrPort) (known bool, err error) {
	if !port.IsValid() || port.Port() < firstUserPort {
		return true, nil
	}
	uids, err := process.ServersOf(port, from)
	if err != nil {
		return false, nil
	}
	for _, uid := range uids {
		if !trustedOwner(a, uid) {
			return true, status.Insecure.Errorf("port %d of this machine belongs to %s (uid %d), who could read the secret", port.Port(), process.UserName(uid), uid)
		}
	}
	return true, nil
}

func trustedOwner(a *config.Account, uid int) bool {
	return process.IsOurs(uid) || process.IsSystemUser(uid) || process.IsUser(a.ServerUser, uid)
}
