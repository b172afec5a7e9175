package smarthost

import (
	"net"
	"os"

	"sendoff/config"
	"sendoff/submit/status"
)

// RefuseOwn returns an error of kind Config if a server of a is one of sockets, which
// this process serves: mail would come back to us without end.
func RefuseOwn(a *config.Account, sockets []net.Listener) error {
	for _, server := range a.Servers {
		for _, l := range sockets {
			isOwn := server.Kind() == config.Socket && sameFile(server.Path, l.Addr().String())
			if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.Port == server.Port {
				isOwn = server.Local()
			}
			if isOwn {
				return status.Config.Errorf("account %s: its server %s is the socket that this process listens on", a.Name, server)
			}
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return a == b || err1 == nil && err2 == nil && os.SameFile(one, other)
}
