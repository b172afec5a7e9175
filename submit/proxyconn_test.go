//go:build linux

package submit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/status"
	"sendoff/submit/trust/trusttest"
)

// TestTrustProxy gives no password to another user who has the port of the proxy.
func TestTrustProxy(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3kr1t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"", "60001"} {
		address, said := trusttest.ListenAs60001(t, "proxy")
		a := work(t, "ann@example.org")
		a.User, a.ServerUser = "", known
		a.Servers = []config.Server{server(t, "smtp+plain://mx.example:2525")}
		a.Proxy.Address, a.Proxy.User, a.ProxySecret = address, "ann", config.List[string]{"file:" + secret}
		s := &Submitter{Config: &config.Config{}, Store: new(credential.Store)}
		err := s.Submit(t.Context(), request(t, a, nil, "Subject: x\n", "bob@example.net"))
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
