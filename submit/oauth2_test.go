//go:build unix

package submit_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sendoff/config/cmdline"
	"sendoff/submit/credential"
)

// TestOAuth2 has one binary for all of the below.
func TestOAuth2(t *testing.T) {
	bin := build(t)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, bin string)
	}{
		{"browser", testBrowser},
		{"a browser that is opened", testOpened}, {"a browser that somebody else was before", testOpenedTwice},
		{"device", testDevice},
		{"paste", testPaste},
		{"paste of another request's", testPasteOther},
		{"no consent", testNoConsent},
		{"no such way", testNoWay},
		{"no client secret", testNoClientSecret},
		{"setup", testSetup}, {"setup that fails", testSetupFails}, {"setup that is not written", testSetupUnwritten}, {"setup that is stopped", testSetupStopped},
		{"setup that registers", testSetupRegisters}, {"login for cron", testLoginFor},
		{"burst", testBurst}, {"refused", testRefused}, {"as cron", testAsCron},
		{"revoked", testRevoked}, {"provider", testProvider}, {"killed", testKilled},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, bin) })
	}
}

// TestFlows: the command line knows the ways to consent that there are.
func TestFlows(t *testing.T) {
	for _, way := range credential.Flows() {
		cmd, err := cmdline.Parse([]string{"sendoff", "--login", "work", "--flow", way})
		if err != nil || cmd.Flow != way {
			t.Errorf("%s: %q, %v", way, cmd.Flow, err)
		}
	}
	_, err := cmdline.Parse([]string{"sendoff", "--login", "work", "--flow", "?"})
	if err == nil || !strings.HasSuffix(strings.Replace(err.Error(), " or ", ", ", 1), "use "+strings.Join(credential.Flows(), ", ")) {
		t.Errorf("%v", err)
	}
}

// testBurst: however many send at once, one asks the provider.
func testBurst(t *testing.T, bin string) {
	for _, noFolder := range []bool{false, true} {
		t.Run(fmt.Sprintf("noFolder=%t", noFolder), func(t *testing.T) {
			b := newTokenBench(t, bin)
			b.noFolder = noFolder
			b.consent()
			b.settings = []string{`from = "ann@example.org"`}
			const together = 20
			var cmds []*exec.Cmd
			for range together {
				cmds = append(cmds, b.command(mailText, "sendoff", "bob@example.net"))
			}
			var all sync.WaitGroup
			for _, cmd := range cmds {
				all.Go(func() {
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
			all.Wait()
			b.run(0, b.command("", "sendoff", "-q")) // whoever got no session
			b.counts(together, 0, 1)
			folder := b.path("run/sendoff")
			if noFolder {
				folder = b.path("queue/account")
			}
			files, _ := filepath.Glob(folder + "/token-*")
			if len(files) != 1 {
				t.Fatalf("tokens are in %q", files)
			}
			if info, err := os.Stat(files[0]); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", files[0], info.Mode(), err)
			}
		})
	}
	t.Run("sessions of their own", func(t *testing.T) {
		// The refresh token is good once, so that nobody may ask with the same.
		b := newTokenBench(t, bin)
		b.consent()
		const together = 5
		var cmds []*exec.Cmd
		for n := range together {
			cmd := b.command(mailText, "sendoff", "bob@example.net")
			run := b.path(fmt.Sprint("run", n))
			if err := os.Mkdir(run, 0o700); err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+run)
			cmds = append(cmds, cmd)
		}
		var all sync.WaitGroup
		for _, cmd := range cmds {
			all.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		all.Wait()
		b.run(0, b.command("", "sendoff", "-q"))
		if n := b.provider.Count("refresh_token"); n > together+1 || b.mails.Load() != together {
			t.Errorf("asked %d times for %d mails", n, b.mails.Load())
		}
	})
	t.Run("two shelves", func(t *testing.T) {
		b := newTokenBench(t, bin)
		b.consent()
		b.send(0)
		without := b.command(mailText, "sendoff", "bob@example.net")
		without.Env = append(without.Env, "XDG_RUNTIME_DIR="+b.path("none"))
		b.run(0, without)
		shelves := []string{b.path("run/sendoff"), b.path("queue/account")}
		for logout, want := range []int{1, 0} {
			if logout > 0 {
				b.run(0, b.command("", "sendoff", "--logout", "work"))
			}
			for _, shelf := range shelves {
				if files, _ := filepath.Glob(shelf + "/token-*"); len(files) != want {
					t.Errorf("%d logouts leave %q in %s", logout, files, shelf)
				}
			}
		}
	})
	t.Run("a folder of others", func(t *testing.T) {
		b := newTokenBench(t, bin)
		b.consent()
		if err := os.Chmod(b.path("run"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.send(0)
		if _, err := os.Stat(b.path("run/sendoff")); err == nil {
			t.Error("a token in a folder that others can read")
		}
	})
}

// testRefused: a token that the server refuses before its time is replaced
// once, before that is a login that failed.
func testRefused(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.consent()
	b.send(0)
	b.counts(1, 0, 1)
	b.send(0)
	b.counts(2, 0, 1)
	out := b.run(0, b.command("", "sendoff", "--doctor", "-v"))
	for _, line := range []string{"file:" + b.path("refresh") + " (mode 0600)", "file:" + b.path("client") + " (mode 0600)", "secret    oauth2:test", "cron      cron can read the secret, too", "AUTH      XOAUTH2", "login     as ann@example.org"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %s in\n%s", line, out)
		}
	}
	b.provider.Revoke(false)
	if out := b.send(0); !strings.Contains(out, "the access token was refused before its time") {
		t.Errorf("it says:\n%s", out)
	}
	b.counts(3, 1, 2)
	// No token is good: that is a fault, after which the account is paused.
	b.mechanism = "OAUTHBEARER"
	b.settings = []string{`auth = "OAUTHBEARER"`, `from = "carol@example.org"`}
	wrong := strings.NewReplacer("ann@example.org", "carol@example.org")
	fails := func() string {
		cmd := b.command(mailText, "sendoff", "bob@example.net")
		text, _ := os.ReadFile(b.path("config.toml"))
		os.WriteFile(b.path("config.toml"), []byte(wrong.Replace(string(text))), 0o600)
		return b.run(77, cmd)
	}
	out = fails()
	if !strings.Contains(out, "535 5.7.8 no") || !strings.Contains(out, "server refuses the token: 401; it must be good for scope mail") {
		t.Errorf("it says:\n%s", out)
	}
	b.counts(3, 3, 4)
	if out := fails(); !strings.Contains(out, "no further login before") {
		t.Errorf("it says:\n%s", out)
	}
	b.counts(3, 3, 4)
}

// testAsCron: the doctor looks for all that access tokens are got with, and one
// source that cron can use is enough.
func testAsCron(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.consent()
	const provider = `
[oauth2.other]
client-id = "client"
client-secret = "command:sh -c 'test $MINE || exit 3; cat %[1]s'"
auth-url = "%[2]s/authorize"
token-url = "%[2]s/token"
`
	account := func(secret string) string {
		return fmt.Sprintf("[accounts.other]\nserver = %q\nuser = %q\nsecret = %s\nrefresh-token = %q\n",
			"smtp+plain://"+b.mail, "ann@example.org", secret, "file:"+b.path("refresh"))
	}
	tests := []struct {
		secret, want string
		exit         int
	}{
		{`["keyring", "oauth2:test"]`, "ok    cron      cron can read the secret, too\n", 0},
		{`["oauth2:other", "oauth2:test"]`, "ok    cron      cron can read the secret, too\n", 0},
		{`"oauth2:other"`, "fail  cron      command sh: exit status 3, as cron runs it", 77},
		{`["keyring", "oauth2:other"]`, "; command sh: exit status 3, as cron runs it", 77},
	}
	for _, tt := range tests {
		b.settings = []string{fmt.Sprintf(provider, b.path("client"), b.url), account(tt.secret)}
		cmd := b.command("", "sendoff", "--doctor", "-a", "other")
		cmd.Env = append(cmd.Env, "MINE=1")
		if out := b.run(tt.exit, cmd); !strings.Contains(out, tt.want) {
			t.Errorf("%s: it says:\n%s", tt.secret, out)
		}
	}
}

// testRevoked: without a person's consent mail waits, or fails, and the
// line says which command to run.
func testRevoked(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.consent()
	b.provider.Revoke(true)
	if out := b.run(0, b.command(mailText, "sendmail", "bob@example.net")); out != "" {
		t.Errorf("it says:\n%s", out)
	}
	const line = "oauth2:test: the provider refused: invalid_grant (no: [secret] [secret])"
	if out := b.run(0, b.command("", "mailq")); !strings.Contains(out, line) {
		t.Errorf("mailq says:\n%s", out)
	}
	if out := b.send(77); !strings.HasPrefix(out, "sendoff: work: "+line+"; no further login before ") {
		t.Errorf("it says:\n%s", out)
	}
	b.counts(0, 0, 1) // the account is paused
	l := b.login("--flow", "paste")
	fmt.Fprintln(l.stdin, redirected(t, b.await(l, pageLine)))
	b.ends(0, l)
	b.run(0, b.command("", "sendoff", "-q"))
	b.counts(1, 0, 1)
}

// testProvider: what is wrong at the provider's is told, and mail that
// is worth another try is queued in either face.
func testProvider(t *testing.T, bin string) {
	token := ""
	// raw answers past HTTP, with what it was sent where {form} stands.
	raw := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, strings.ReplaceAll(text, "{form}", "refresh_token="+token+"&client_secret="+clientSecret))
		}
	}
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		exit   int
		says   string
	}{
		{"broken", func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 0, "answers with HTTP status 502"},
		{"busy", func(w http.ResponseWriter) { io.WriteString(w, `{"error":"temporarily_unavailable"}`) }, 0, "the provider refused: temporarily_unavailable"},
		{"a page", func(w http.ResponseWriter) { io.WriteString(w, "<html>") }, 0, "not the expected JSON"},
		{"another place", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/token")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 0, "answers with HTTP status 307"},
		{"without end", func(w http.ResponseWriter) { w.Write(make([]byte, 1<<20)) }, 0, "the answer is longer than"},
		{"no status line", raw("nonsense {form}\r\n\r\n"), 0, "the answer is not HTTP"},
		{"no header", raw("HTTP/1.1 200 OK\r\n{form}\r\n\r\n"), 0, "the answer is not HTTP"},
		{"no length", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{form}\r\n\r\n"), 0, "the answer is not HTTP"},
		{"nothing", raw(""), 0, "the connection ended before the answer did"},
		{"no client", func(w http.ResponseWriter) { io.WriteString(w, `{"error":"invalid_client"}`) }, 77, "the provider refused: invalid_client"},
		{"control characters", func(w http.ResponseWriter) {
			io.WriteString(w, `{"error":"invalid_client","error_description":"a\u001b[2J\nb"}`)
		}, 77, "the provider refused: invalid_client (a�[2J b)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newTokenBench(t, bin)
			token = b.consent()
			b.provider.Intercept = func(w http.ResponseWriter, _ string) bool {
				tt.answer(w)
				return true
			}
			if out := b.send(tt.exit); !strings.Contains(out, tt.says) {
				t.Errorf("it says:\n%s", out)
			}
			if got, _ := os.ReadFile(b.path("refresh")); string(got) != token+"\n" {
				t.Errorf("the refresh token is now %q", got)
			}
		})
	}
	t.Run("no place for a new token", func(t *testing.T) {
		b := newTokenBench(t, bin)
		text := b.consent() + "\nand notes\n"
		if err := os.WriteFile(b.path("refresh"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		line := "a new refresh token could not be kept: file:" + b.path("refresh") + ": not changed, because it has more than one line"
		if out := b.send(77); !strings.Contains(out, line) {
			t.Errorf("it says:\n%s", out)
		}
		b.counts(0, 0, 0)
		l := b.login("--flow", "paste") // nor is a person asked
		if out := b.ends(77, l); !strings.Contains(out, line) || strings.Contains(out, "open this address") {
			t.Errorf("it says:\n%s", out)
		}
		if got, _ := os.ReadFile(b.path("refresh")); string(got) != text {
			t.Errorf("the file is now %q", got)
		}
	})
	for _, tt := range []struct{ name, mount, says string }{
		{"no space for a new token", `mount -t tmpfs -o size=16k full disk && mv refresh disk && ln -s disk/refresh refresh; yes 2>&- >disk/more`, "write: no space left on device"},
		{"a file that is mounted", "mount --bind refresh refresh", "the file itself is mounted, so it cannot be replaced; mount its folder instead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newTokenBench(t, bin)
			b.consent()
			if err := os.Mkdir(b.path("disk"), 0o700); err != nil {
				t.Fatal(err)
			}
			if exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "full", b.path("disk")).Run() != nil {
				t.Skip("it takes root to mount something")
			}
			cmd := b.command(mailText, "sendoff", "bob@example.net")
			there := exec.Command("unshare", append([]string{"-m", "sh", "-c", tt.mount + "\n\"$0\" \"$@\"", cmd.Path}, cmd.Args[1:]...)...)
			there.Stdin, there.Env, there.Dir = cmd.Stdin, cmd.Env, cmd.Dir
			line := "a new refresh token could not be kept: file:" + b.path("refresh") + ": " + tt.says
			if out := b.run(77, there); !strings.Contains(out, line) {
				t.Errorf("it says:\n%s", out)
			}
			b.counts(0, 0, 0)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		b := newTokenBench(t, bin)
		b.consent()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b.url = "http://" + l.Addr().String()
		l.Close()
		if out := b.send(0); !strings.Contains(out, "connection refused") || !strings.Contains(out, "queued as") {
			t.Errorf("it says:\n%s", out)
		}
	})
	t.Run("a proxy that says no", func(t *testing.T) {
		b := newTokenBench(t, bin)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}))
		there := strings.Replace(proxy.URL, "://", "://ann:s3kr1t@", 1)
		b.settings = []string{"[oauth2.far]", `client-id = "client"`, `grant = "client-credentials"`,
			fmt.Sprintf("token-url = \"https://provider.example/token\"\nclient-secret = %q", "file:"+b.path("client")),
			"[accounts.far]", fmt.Sprintf("server = %q", "smtp+plain://"+b.mail), `user = "ann@example.org"`, `secret = "oauth2:far"`}
		for _, says := range []string{"provider.example: the proxy " + proxy.Listener.Addr().String() + " answers with HTTP status 407", "provider.example: the proxy: dial tcp"} {
			cmd := b.command("", "sendoff", "--login", "far")
			cmd.Env = append(cmd.Env, "HTTPS_PROXY="+there)
			if out := b.run(75, cmd); !strings.Contains(out, says) || strings.Contains(out, "s3kr1t") {
				t.Errorf("it says:\n%s", out)
			}
			proxy.Close() // and then there is none
		}
	})
	t.Run("client credentials", func(t *testing.T) {
		b := newTokenBench(t, bin)
		b.settings = []string{"[oauth2.app]", `client-id = "client"`, `grant = "client-credentials"`,
			fmt.Sprintf("token-url = %q\nclient-secret = %q", b.url+"/token", "file:"+b.path("client")),
			"[accounts.app]", fmt.Sprintf("server = %q", "smtp+plain://"+b.mail), `user = "ann@example.org"`, `secret = "oauth2:app"`}
		b.run(0, b.command("", "sendoff", "--login", "app"))
		for range 2 {
			b.run(0, b.command(mailText, "sendoff", "-a", "app", "bob@example.net"))
		}
		if n := b.provider.Count("client_credentials"); n != 1 || b.mails.Load() != 2 {
			t.Errorf("asked %d times for %d mails", n, b.mails.Load())
		}
	})
}
