package submit

import (
	"net"
	"net/netip"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// ownPorts is the first port that every user may open.
const ownPorts = 1024

// trustPort returns an error if a secret that goes without TLS to a port of this
// machine could be read by another user: whoever opens the port first gets what
// is sent to it. The port must belong to root, to whoever runs us, to a user of
// the system's, or to the account's server-user. known is false where the system
// does not tell who has it; then the port is trusted.
// from is our end of the connection, which the port's owner has accepted, or
// invalid if there is none.
func trustPort(a *config.Account, port, from netip.AddrPort) (known bool, err error) {
	if !port.IsValid() || port.Port() < ownPorts {
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

// A proxyConn is a connection to the proxy of an account while a way is asked for.
type proxyConn struct {
	net.Conn
	account *config.Account
}

// Write writes a password only to a proxy of this machine that may have it. By
// then the proxy has answered, so the kernel knows whose it is.
func (c *proxyConn) Write(p []byte) (int, error) {
	const login = 1 // the version of RFC 1929, with which a user and a password begin
	near, ok1 := c.LocalAddr().(*net.TCPAddr)
	far, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if len(c.account.ProxySecret) > 0 && len(p) > 0 && p[0] == login && ok1 && ok2 && far.IP.IsLoopback() {
		if _, err := trustPort(c.account, far.AddrPort(), near.AddrPort()); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
