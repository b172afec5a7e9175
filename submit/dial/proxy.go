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

// Proxied reports whether a connects through a SOCKS5 proxy (RFC 1928).
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

// proxyLogin returns the user and password for the proxy of a; nil: the proxy wants no
// login.
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

// throughProxy asks the SOCKS5 proxy at the other end of conn to connect to address.
// Afterwards conn is a connection to address, and still a socket, so that the kernel
// can be asked whether something has arrived. After an error conn is closed.
func (d *Dialer) throughProxy(ctx context.Context, a *config.Account, conn net.Conn, address string) error {
	login, err := d.proxyLogin(ctx, a)
	if err != nil {
		conn.Close()
		return fmt.Errorf("proxy-secret: %w", err)
	}
	socks, err := proxy.SOCKS5("tcp", a.Proxy.Address, login, nil)
	if err == nil {
		dialer := socks.(interface {
			DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
		})
		_, err = dialer.DialWithConn(ctx, &proxyConn{conn, a}, "tcp", address)
	}
	if err == nil {
		return nil
	}
	conn.Close()
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if text, ok := strings.CutPrefix(err.Error(), "unknown error "); ok {
		err = errors.New(text)
	}
	return err
}

// A proxyConn is a connection to the proxy of an account, used until the proxy has
// connected to the server.
type proxyConn struct {
	net.Conn
	account *config.Account
}

// Write implements net.Conn. It returns an error instead of sending a password to a
// proxy on this machine if a user we do not trust listens on the proxy's port
// (trust.Port). The proxy has accepted the connection, so the kernel knows that user.
func (c *proxyConn) Write(p []byte) (int, error) {
	const login = 1 // the first octet of a message with user and password (RFC 1929)
	near, ok1 := c.LocalAddr().(*net.TCPAddr)
	far, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if len(c.account.ProxySecret) > 0 && len(p) > 0 && p[0] == login && ok1 && ok2 && far.IP.IsLoopback() {
		if _, err := trust.Port(c.account, far.AddrPort(), near.AddrPort()); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
