//go:build unix

package submit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// microsoftHost is where the provider that is built in has its endpoints.
const microsoftHost = "login.microsoftonline.com"

// testSetupRegisters: the wizard writes the table of a provider that is built in,
// whose part is played here, behind a proxy.
func testSetupRegisters(t *testing.T, bin string) {
	if runtime.GOOS == "darwin" {
		t.Skip("trusts what the keychain has")
	}
	b := newTokenBench(t, bin)
	b.provider.ClientSecret = ""
	paths := strings.NewReplacer("/example.com/oauth2/v2.0/devicecode", "/device", "/example.com/oauth2/v2.0/token", "/token")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != microsoftHost {
			t.Errorf("asked for %s", r.Host)
		}
		r.URL.Path = paths.Replace(r.URL.Path)
		b.provider.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{b.certificate(microsoftHost)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	t.Cleanup(proxy.Close)

	setup := func(more ...string) *tokenLogin {
		return b.startWith([]string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + b.path("roots.pem")}, append(more,
			"--setup=ann@example.org", "--account", "new", "--server", "smtp+plain://"+b.mail, "--secret", "oauth2:microsoft",
			"--client-id", "client", "--tenant", "example.com", "--flow", "device", "--for", "cron", "--yes")...)
	}
	// Whoever thinks better of it leaves nothing behind.
	l := setup("--client-secret-file", b.path("client"))
	b.await(l, `enter the code (\S+)`)
	if _, err := os.Stat(b.path("oauth2-microsoft.secret")); err != nil {
		t.Error(err)
	}
	if err := l.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out := b.ends(75, l); !strings.Contains(out, "account not saved: ") || !strings.Contains(out, "interrupted by Ctrl-C") {
		t.Errorf("it says:\n%s", out)
	}
	if _, err := os.Stat(b.path("oauth2-microsoft.secret")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the client's secret is left: %v", err)
	}

	l = setup()
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	b.ends(0, l)
	b.counts(1, 0, 0)
	text, _ := os.ReadFile(b.path("config.toml"))
	if !strings.Contains(string(text), "\n[oauth2.microsoft]\nclient-id = \"client\"\ntenant = \"example.com\"\n\n[accounts.new]\n") {
		t.Errorf("written:\n%s", text)
	}
}

// testLoginFor: the refresh token of a new consent goes where cron can get at
// it, and the account knows.
func testLoginFor(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.settings = []string{"[accounts.other]", `server = "smtp+plain://` + b.mail + `"`, `user = "ann@example.org"`, `secret = "oauth2:test"`}
	l := b.start("--login", "other", "--for", "cron")
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	if out := b.ends(0, l); !strings.Contains(out, "cron cannot open a keyring") || !strings.Contains(out, "Changed account \"other\" in ") {
		t.Errorf("it says:\n%s", out)
	}
	text, _ := os.ReadFile(b.path("config.toml"))
	if !strings.HasSuffix(string(text), "secret = \"oauth2:test\"\nrefresh-token = \"file:~/other.secret\"\n") {
		t.Errorf("written:\n%s", text)
	}
	b.settings = append(b.settings, `refresh-token = "file:~/other.secret"`) // the bench writes the file anew
	b.run(0, b.command(mailText, "sendoff", "-a", "other", "bob@example.net"))
	b.counts(1, 0, 0)
}

// certificate makes one for host, and makes its authority the only one.
func (b *tokenBench) certificate(host string) tls.Certificate {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path("roots.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tunnel is a proxy that leads every tunnel to the same address (RFC 9110
// section 9.3.6).
func tunnel(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only tunnels", http.StatusMethodNotAllowed)
			return
		}
		server, err1 := net.Dial("tcp", to)
		client, _, err2 := http.NewResponseController(w).Hijack()
		if errors.Join(err1, err2) != nil {
			return
		}
		io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { defer server.Close(); io.Copy(server, client) }()
		go func() { defer client.Close(); io.Copy(client, server) }()
	})
}
