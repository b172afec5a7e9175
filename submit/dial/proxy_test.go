//go:build linux

package dial

import (
	"context"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/secret"
	"sendoff/submit/status"
	"sendoff/submit/trust/trusttest"
)

// TestTrustProxy tests that the password is not sent if another user listens on the
// proxy's port.
func TestTrustProxy(t *testing.T) {
	for _, known := range []string{"", "60001"} {
		address, said := trusttest.ListenAs60001(t, "proxy")
		a := &config.Account{ServerUser: known, ProxySecret: make(config.List[secret.Ref], 1)}
		a.Proxy.Address, a.Proxy.User = address, "ann"
		d := &Dialer{ProxySecret: func(context.Context, *config.Account) (string, error) { return "s3kr1t", nil }}
		_, err := d.Connect(t.Context(), a, Hop{Target: Target{Server: server(t, "smtp+plain://mx.example:2525"), Name: "mx.example", Port: 2525}})
		said.Scan()
		switch heard := strings.Contains(said.Text(), "s3kr1t"); {
		case known != "":
			if !heard {
				t.Errorf("the server-user %s: %v", said.Text(), err)
			}
		case heard || status.KindOf(err) != status.Insecure || !strings.Contains(status.Hint(err), "server-user"):
			t.Errorf("%s: %v; hint: %s", said.Text(), err, status.Hint(err))
		}
	}
}
