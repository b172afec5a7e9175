package trust

import (
	"net/netip"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// firstUserPort is the lowest port that every user may open.
const firstUserPort = 1024

// Port returns an error, of kind status.Insecure, if a secret that goes without TLS
// to a port of this machine could be read by another user: whoever opens a port
// first gets what is sent to the port. The port must belong to root, to whoever
// runs us, to a user of the system's, or to the account's server-user. known is
// false where the system does not tell who has the port; then the port is trusted.
// from is our end of the connection, which the port's owner has accepted, or
// invalid if there is no connection yet.
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
