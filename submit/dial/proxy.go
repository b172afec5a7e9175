package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/proxy"

	"sendoff/config"
	"sendoff/submit/trust"
)

// Proxied reports whether a goes through a proxy.
func Proxied(a *config.Account) bool { return a.Proxy.Address != "" }

// DialProxy connects to address, a HOST:PORT, through the proxy of a. The error is a
// *net.OpError.
func (d *Dialer) DialProxy(ctx context.Context, a *config.Account, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, a, "tcp", a.Proxy.Address)
	if err == nil {
		err = d.throughProxy(ctx, a, conn, address)
	}
	if err != nil {
		return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
	}
	return conn, nil
}

// proxyLogin returns with what to log in to the proxy of a; nil if there is no login.
func (d *Dialer) proxyLogin(ctx context.Context, a *config.Account) (*proxy.Auth, error) {
	if a.Proxy.User == "" {
		return nil, nil
	}
	login := &proxy.Auth{User: a.Proxy.User}
	var err error
	if len(a.ProxySecret) > 0 {
		login.Password, err = d.ProxySecret(ctx, a)
	}
	return login, err
}

// throughProxy asks the SOCKS5 proxy at the other end of conn to connect to
// address, and closes conn if it does not. conn stays what it is, a socket of
// which the kernel can be asked what has arrived.
func (d *Dialer) throughProxy(ctx context.Context, a *config.Account, conn net.Conn, address string) error {
	login, err := d.proxyLogin(ctx, a)
	if err != nil {
		conn.Close()
		return fmt.Errorf("proxy-secret: %w", err)
	}
	socks, err := proxy.SOCKS5("tcp", a.Proxy.Address, login, nil)
	if err == nil {
		asker := socks.(interface {
			DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
		})
		_, err = asker.DialWithConn(ctx, &proxyConn{conn, a}, "tcp", address)
	}
	if err == nil {
		return nil
	}
	conn.Close()
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if said, ok := strings.CutPrefix(err.Error(), "unknown error "); ok {
		err = errors.New(said)
	}
	return err
}

// A proxyConn is a connection to the proxy of an account, until the proxy has
// connected to the server.
type proxyConn struct {
	net.Conn
	account *config.Account
}

// Write passes on a password to a proxy of this machine only if the owner of its
// port may know the password. The proxy has answered by then, so the kernel knows
// the owner.
func (c *proxyConn) Write(p []byte) (int, error) {
	const login = 1 // the version of RFC 1929, with which a user and a password begin
	near, ok1 := c.LocalAddr().(*net.TCPAddr)
	far, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if len(c.account.ProxySecret) > 0 && len(p) > 0 && p[0] == login && ok1 && ok2 && far.IP.IsLoopback() {
		if _, err := trust.Port(c.account, far.AddrPort(), near.AddrPort()); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
