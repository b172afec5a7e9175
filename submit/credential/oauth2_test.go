//go:build unix

package credential

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/config"
	"sendoff/submit/credential/oauth2test"
	"sendoff/submit/process"
	"sendoff/submit/state"
	"sendoff/submit/status"
)

// A tokenStore is a Store with a keyring in memory, and with a provider at the other end of
// a pipe, so that testing/synctest can fake the time.
type tokenStore struct {
	Store
	t        *testing.T
	provider *oauth2test.Provider
	ring     ring
	state    *state.Folder
	down     atomic.Bool // the provider cannot be reached
	settings Provider
	refused  Secret
}

const ringKey = "oauth2:test:ann@example.org@smtp.example.org"

func newTokenStore(t *testing.T) *tokenStore {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenStore{t: t, ring: ring{}, state: state.In(root, ".")}
	s.provider = &oauth2test.Provider{ClientID: "client", Life: time.Hour, User: "ann@example.org"}
	s.settings = Provider{AuthURL: config.Endpoint{URL: "http://localhost/authorize"}, DeviceURL: config.Endpoint{URL: "http://localhost/device"}, TokenURL: config.Endpoint{URL: "http://localhost/token"}, ClientID: "client", Scopes: []string{"mail"}}
	s.Keyring = s.ring
	s.dial = func(context.Context, string, string) (net.Conn, error) {
		if s.down.Load() {
			return nil, errors.New("no route to host")
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			r, err := http.ReadRequest(bufio.NewReader(there))
			if err != nil {
				return
			}
			w := httptest.NewRecorder()
			s.provider.ServeHTTP(w, r)
			w.Result().Write(there)
		}()
		return here, nil
	}
	t.Cleanup(func() {
		for _, trouble := range s.provider.Trouble() {
			t.Error(trouble)
		}
	})
	return s
}

// test runs do with faked time and without a runtime folder.
func (s *tokenStore) test(do func(t *testing.T)) {
	s.t.Setenv("XDG_RUNTIME_DIR", "/nonexistent")
	synctest.Test(s.t, func(t *testing.T) {
		s.t = t
		do(t)
	})
}

func (s *tokenStore) item() Item {
	o := &OAuth2{Account: "work", Refused: s.refused, Providers: map[string]Provider{"test": s.settings}}
	o.Refresh, _ = ParseRef("keyring")
	o.State = s.state
	return Item{User: "ann@example.org", Host: "smtp.example.org", OAuth2: o}
}

// cached returns the access tokens in the cache, by the names of their files.
func (s *tokenStore) cached() map[string][]byte {
	tokens := make(map[string][]byte)
	for _, name := range s.state.List() {
		if strings.HasPrefix(name, "token-") {
			tokens[name] = s.state.Read(name)
		}
	}
	return tokens
}

// cache sets the access tokens in the cache, and removes all others.
func (s *tokenStore) cache(tokens map[string][]byte) {
	s.t.Helper()
	for name := range s.cached() {
		if err := s.state.Write(name, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	for name, text := range tokens {
		if err := s.state.Write(name, text); err != nil {
			s.t.Fatal(err)
		}
	}
}

// lock takes the lock, as another process would.
func (s *tokenStore) lock() (release func()) {
	s.t.Helper()
	g, err := place{&s.Store, refs(s.t, "oauth2:test")[0], s.item()}.grant()
	if err == nil {
		release, err = s.state.Lock("lock-" + g.key)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return release
}

func (s *tokenStore) get() (Secret, error) {
	return s.Get(s.t.Context(), refs(s.t, "oauth2:test"), s.item())
}

func (s *tokenStore) token() string {
	s.t.Helper()
	token, err := s.get()
	if err != nil || !token.IsToken() || !s.provider.Good("ann@example.org", token.Reveal()) {
		s.t.Fatalf("%q, a token: %t, %v", token.Reveal(), token.IsToken(), err)
	}
	return token.Reveal()
}

// TestOAuth2Expiry: an access token is used until shortly before its end.
func TestOAuth2Expiry(t *testing.T) {
	for _, tt := range []struct{ life, good time.Duration }{
		{time.Hour, 59 * time.Minute},
		{100 * time.Second, 90 * time.Second},
		{0, 270 * time.Second}, // the provider does not say a lifetime
	} {
		s := newTokenStore(t)
		s.test(func(t *testing.T) {
			s.provider.Life = tt.life
			s.ring[ringKey] = s.provider.Refresh("ann@example.org")
			first := s.token()
			time.Sleep(tt.good - time.Second)
			if s.token() != first {
				t.Errorf("life %v: another token too early", tt.life)
			}
			time.Sleep(time.Second)
			if s.token() == first {
				t.Errorf("life %v: the token is used for too long", tt.life)
			}
			if n := s.provider.Count("refresh_token"); n != 2 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestOAuth2Refused: a token that the server has refused is not used again, but a newer one
// that another process has stored is used.
func TestOAuth2Refused(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.ring[ringKey] = s.provider.Refresh("ann@example.org")
		s.refused, _ = NewSecret(s.token())
		second := s.token()
		if second == s.refused.Reveal() {
			t.Error("the token that was refused")
		}
		if s.token() != second || s.provider.Count("refresh_token") != 2 {
			t.Errorf("asked %d times", s.provider.Count("refresh_token"))
		}
	})
}

// TestOAuth2Lock: a process that finds the lock held waits, at most lockLimit, for the
// token of the other process.
func TestOAuth2Lock(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.ring[ringKey] = s.provider.Refresh("ann@example.org")
		first := s.token()
		kept := s.cached()
		s.cache(nil)
		release := s.lock()
		time.AfterFunc(5*time.Second, func() { s.cache(kept); release() })
		if s.token() != first {
			t.Error("not the other's token")
		}
		s.cache(nil)
		defer s.lock()()
		begin := time.Now()
		_, err := s.get()
		if status.KindOf(err) != status.Connection || time.Since(begin) > lockLimit+time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// tooSmall is a keyring in which no new secret can be stored.
type tooSmall struct{ ring }

func (tooSmall) Set(string, string, string) error { return ErrTooBig }

// TestOAuth2Rotation: a new refresh token is stored before the access token is used. If it
// cannot be stored, no token is used.
func TestOAuth2Rotation(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.provider.Once = true
		old := s.provider.Refresh("ann@example.org")
		s.ring[ringKey] = old
		s.ring["ann@example.org@smtp.example.org"] = "the password of old"
		s.token()
		if s.ring[ringKey] == old || len(s.ring) != 2 {
			t.Errorf("the keyring has %q", s.ring)
		}
		s.cache(nil)
		s.Keyring = tooSmall{s.ring}
		_, err := s.get()
		fails(t, err, "oauth2:test: the new refresh token cannot be kept: keyring: the password is too long for the keyring")
		if len(s.cached()) != 0 {
			t.Error("an access token was kept all the same")
		}
		_, err = s.get()
		if want := "oauth2:test: the provider refused: invalid_grant (no: [secret])"; fmt.Sprint(err) != want || status.KindOf(err) != status.AuthFailed {
			t.Errorf("%v", err)
		}
		delete(s.ring, ringKey)
		_, err = s.get()
		fails(t, err, "oauth2:test: no refresh token is stored in keyring yet")
	})
}

// TestOAuth2Forgotten: Delete waits for a process that is getting tokens, and then removes
// its tokens from both folders.
func TestOAuth2Forgotten(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.provider.Once = true
		s.ring[ringKey] = s.provider.Refresh("ann@example.org")
		asked := make(chan struct{})
		s.provider.Intercept = func(http.ResponseWriter, string) bool {
			close(asked)
			time.Sleep(time.Second)
			return false
		}
		var all sync.WaitGroup
		all.Go(func() { s.token() })
		<-asked
		if err := s.Delete(t.Context(), refs(t, "oauth2:test")[0], s.item()); err != nil {
			t.Error(err)
		}
		all.Wait()
		for name, text := range s.cached() {
			if len(text) > 0 {
				t.Errorf("%s is left", name)
			}
		}
		if len(s.ring) > 0 {
			t.Errorf("the keyring has %q", s.ring)
		}
	})
}

// TestOAuth2Faster: a process that does not share our lock has used our refresh token, so
// that it is invalid. We continue with the refresh token that this process has stored.
func TestOAuth2Faster(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.provider.Once = true
		s.ring[ringKey] = "spent"
		s.provider.Intercept = func(http.ResponseWriter, string) bool {
			if s.ring[ringKey] == "spent" {
				s.ring[ringKey] = s.provider.Refresh("ann@example.org")
			}
			return false
		}
		s.token()
		if n := s.provider.Count("refresh_token"); n != 2 {
			t.Errorf("asked %d times", n)
		}
		s.provider.Revoke(true)
		s.cache(nil)
		if _, err := s.get(); status.KindOf(err) != status.AuthFailed || s.provider.Count("refresh_token") != 3 {
			t.Errorf("%v, asked %d times", err, s.provider.Count("refresh_token"))
		}
	})
}

// TestOAuth2Interrupted: after a signal we still wait for the provider's answer, which may
// have a new refresh token, but not for the lock.
func TestOAuth2Interrupted(t *testing.T) {
	for _, tt := range []struct {
		answers time.Duration
		kept    bool
	}{{askLimit / 2, true}, {2 * askLimit, false}} {
		s := newTokenStore(t)
		s.test(func(t *testing.T) {
			s.provider.Once = true
			old := s.provider.Refresh("ann@example.org")
			s.ring[ringKey] = old
			s.provider.Intercept = func(http.ResponseWriter, string) bool {
				time.Sleep(tt.answers)
				return false
			}
			get := func() error {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Millisecond, func() { cancel(process.Stopped{Signal: os.Interrupt}) })
				_, err := s.Get(ctx, refs(t, "oauth2:test"), s.item())
				return err
			}
			begin := time.Now()
			err := get()
			if (err == nil) != tt.kept || (s.ring[ringKey] != old) != tt.kept || time.Since(begin) > askLimit {
				t.Errorf("%v after %v; a new refresh token: %t", err, time.Since(begin), s.ring[ringKey] != old)
			}
			if err != nil && status.KindOf(err) != status.Connection {
				t.Errorf("%v", err)
			}
			s.cache(nil)
			defer s.lock()()
			begin = time.Now()
			if err := get(); !errors.As(err, new(process.Stopped)) || time.Since(begin) > time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			time.Sleep(tt.answers) // let the provider's goroutine end as well
		})
	}
}

// TestOAuth2Device: byDevice makes the pause that the provider wants, and stops when the
// code has expired.
func TestOAuth2Device(t *testing.T) {
	const grant = "urn:ietf:params:oauth:grant-type:device_code"
	tests := []struct {
		name  string
		act   func(s *tokenStore, code string)
		took  time.Duration
		asked int
		err   string
	}{
		{"at once", func(s *tokenStore, code string) { s.provider.Enter(code, true) }, Interval, 1, ""},
		{"after a while", func(s *tokenStore, code string) {
			time.AfterFunc(9*Interval+Interval/2, func() { s.provider.Enter(code, true) })
		}, 10 * Interval, 10, ""},
		{"too fast", func(s *tokenStore, code string) {
			s.provider.Slow(code)
			s.provider.Enter(code, true)
		}, Interval + Interval + slower, 2, ""},
		{"no way to the provider for a while", func(s *tokenStore, code string) {
			s.provider.Enter(code, true)
			s.down.Store(true)
			time.AfterFunc(2*Interval, func() { s.down.Store(false) })
		}, Interval + 2*Interval, 1, ""},
		{"refused", func(s *tokenStore, code string) { s.provider.Enter(code, false) }, Interval, 1,
			"oauth2:test: the consent was refused: access_denied (no:)"},
		{"never", func(*tokenStore, string) {}, oauth2test.CodeLife, 300, "oauth2:test: the code was not entered within 5m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTokenStore(t)
			s.test(func(t *testing.T) {
				var begin time.Time
				who := Person{Flow: "device", Say: func(line string) {
					begin = time.Now()
					tt.act(s, line[strings.LastIndexByte(line, ' ')+1:])
				}}
				err := s.Authorise(t.Context(), refs(t, "oauth2:test")[0], s.item(), who)
				if tt.err == "" && err != nil || tt.err != "" && fmt.Sprint(err) != tt.err {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if n := s.provider.Count(grant); n < tt.asked-1 || n > tt.asked {
					t.Errorf("asked %d times, want %d", n, tt.asked)
				}
				if err == nil {
					s.token()
				}
			})
		})
	}
}

const Interval = oauth2test.Interval

// TestOAuth2Paste: a person at a terminal who pastes a wrong address is asked again, at
// most tries times, and never after a refusal.
func TestOAuth2Paste(t *testing.T) {
	const right, quoted, cut = "right", "quoted", "http://localhost/?code=abc&state=CUT"
	const no = "http://localhost/?state=STATE&error=access_denied"
	tests := []struct {
		there  bool
		pasted []string
		err    string
	}{
		{true, []string{right}, ""},
		{true, []string{"", "http://localhost/?state=other&code=x", right}, ""},
		{true, []string{"x", "x", "x"}, "oauth2:test: the pasted text is not an address with a code"},
		{true, []string{no}, "oauth2:test: the consent was refused: access_denied"},
		{true, []string{"http://localhost/?error=access_denied&error_description=no"}, "oauth2:test: the consent was refused: access_denied (no)"},
		{true, []string{quoted}, ""},
		{false, []string{"http://localhost/?code=abc"}, "oauth2:test: " + errCut.Error()},
		{false, []string{cut}, "oauth2:test: " + errCut.Error()},
		{false, []string{"http://localhost/?code=abc&state=OTHER"}, "oauth2:test: " + errOther.Error()},
		{false, []string{"x"}, "oauth2:test: the pasted text is not an address with a code"},
	}
	for _, tt := range tests {
		s := newTokenStore(t)
		s.test(func(t *testing.T) {
			var page string
			asked := 0
			who := Person{Flow: "paste", There: tt.there, Say: func(line string) {
				if _, address, ok := strings.Cut(line, "in any browser: "); ok {
					page = address
				}
			}, Ask: func(string) (string, error) {
				asked++
				if asked > len(tt.pasted) {
					return "", errors.New("asked too often")
				}
				if answer := tt.pasted[asked-1]; answer == right || answer == quoted {
					w := httptest.NewRecorder()
					s.provider.ServeHTTP(w, httptest.NewRequest(http.MethodGet, page, nil))
					if answer == quoted {
						return ` "` + w.Header().Get("Location") + `" `, nil
					}
					return w.Header().Get("Location"), nil
				}
				u, err := url.Parse(page)
				state := u.Query().Get("state")
				return strings.NewReplacer("STATE", state, "CUT", state[:5]).Replace(tt.pasted[asked-1]), err
			}}
			err := s.Authorise(t.Context(), refs(t, "oauth2:test")[0], s.item(), who)
			if tt.err == "" && err != nil || tt.err != "" && fmt.Sprint(err) != tt.err || asked != len(tt.pasted) {
				t.Errorf("%q: asked %d times, %v, want %s", tt.pasted, asked, err, tt.err)
			}
		})
	}
}

// TestOAuth2Proxy: requests go through the account's proxy, not through that of the
// environment, and never directly.
func TestOAuth2Proxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		item := s.item()
		item.OAuth2.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
			return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("no way to " + address)}
		}
		who := Person{Flow: "device", Say: func(string) {}}
		err := s.Authorise(t.Context(), refs(t, "oauth2:test")[0], item, who)
		if err == nil || !strings.Contains(err.Error(), ": the proxy: no way to ") {
			t.Errorf("got %v", err)
		}
	})
}

// TestOAuth2Place: if the refresh token cannot be stored, the person is not asked for
// consent.
func TestOAuth2Place(t *testing.T) {
	s := newTokenStore(t)
	s.test(func(t *testing.T) {
		s.Keyring = broken(func() error { return ErrLocked })
		who := Person{Flow: "device", Say: func(line string) { t.Errorf("said: %s", line) }}
		err := s.Authorise(t.Context(), refs(t, "oauth2:test")[0], s.item(), who)
		fails(t, err, "oauth2:test: keyring: locked")
		// Without Item.OAuth2 there is no access token.
		_, err = s.Get(t.Context(), refs(t, "oauth2:test"), item)
		fails(t, err, "oauth2:test: access tokens require an account in the configuration")
	})
}

// TestOAuth2Interval: there is a pause between requests, even if the provider wants none.
func TestOAuth2Interval(t *testing.T) {
	for _, tt := range []struct {
		said string
		wait time.Duration
	}{{"1e-9", minInterval}, {"0.5", minInterval}, {"3", 3 * time.Second}, {"0", 5 * time.Second}, {"-1", 5 * time.Second}} {
		s := newTokenStore(t)
		s.test(func(t *testing.T) {
			g, err := place{&s.Store, refs(s.t, "oauth2:test")[0], s.item()}.grant()
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			g.poll(t.Context(), &device{Code: "none", Interval: json.RawMessage(tt.said)}) // the provider refuses the code at the first request
			if took := time.Since(begin); took != tt.wait {
				t.Errorf("interval %s: asked after %v, want %v", tt.said, took, tt.wait)
			}
		})
	}
}

// A knocking is a net.Listener whose Accept first fails, and then returns many connections.
type knocking struct {
	visitors chan net.Conn
	troubles atomic.Int32 // the number of errors before the first connection
	closed   chan struct{}
}

func (k *knocking) Accept() (net.Conn, error) {
	if k.troubles.Add(-1) >= 0 {
		return nil, syscall.EMFILE
	}
	select {
	case conn := <-k.visitors:
		return conn, nil
	case <-k.closed:
		return nil, net.ErrClosed
	}
}

func (k *knocking) Close() error   { close(k.closed); return nil }
func (k *knocking) Addr() net.Addr { return nil }

// TestRedirection: redirect-url sets where the provider redirects the browser. byBrowser
// waits there if that address is on this machine.
func TestRedirection(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	port := free.Addr().(*net.TCPAddr).Port
	for _, row := range []struct{ address, begin, path string }{
		{"", "http://localhost:", "/"},
		{"http://127.0.0.1/callback", "http://127.0.0.1:", "/callback"},
		{fmt.Sprintf("http://localhost:%d/a/b", port), fmt.Sprintf("http://localhost:%d/a/b", port), "/a/b"},
		{"https://localhost/", "", ""},
		{"http://sendoff.example/", "", ""},
		{"urn:ietf:wg:oauth:2.0:oob", "", ""},
	} {
		back, err := redirection(row.address)
		if row.begin == "" {
			if status.KindOf(err) != status.Config {
				t.Errorf("%s: %v", row.address, err)
			}
			continue
		}
		l, err := listenLoopback(back)
		if err != nil {
			t.Errorf("%s: %v", row.address, err)
			continue
		}
		if !strings.HasPrefix(l.url, row.begin) || !strings.HasSuffix(l.url+"/", strings.TrimSuffix(row.path, "/")+"/") || l.path != row.path {
			t.Errorf("%s: %s, %s", row.address, l.url, l.path)
		}
		l.Close()
	}
}

// TestLoopback: the browser's answer is received although Accept fails at first, and
// although many other connections are silent, of which only maxRequests are served at the
// same time.
func TestLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &knocking{visitors: make(chan net.Conn), closed: make(chan struct{})}
		k.troubles.Store(3)
		l := &loopback{url: "http://localhost", path: "/", listeners: []net.Listener{k}}
		r := newRequest(l.url)
		begin := time.Now()
		var silent atomic.Int32
		go func() {
			for range 2 * maxRequests {
				here, there := net.Pipe()
				t.Cleanup(func() { here.Close() })
				k.visitors <- there
				silent.Add(1)
			}
			here, there := net.Pipe()
			k.visitors <- there
			fmt.Fprintf(here, "GET /?code=c&state=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", r.state)
			io.Copy(io.Discard, here)
		}()
		go func() {
			time.Sleep(requestLimit / 2)
			if n := silent.Load(); n > maxRequests+1 { // one more waits for a free slot
				t.Errorf("%d are listened to at once", n)
			}
		}()
		code, err := l.await(t.Context(), r)
		if took := time.Since(begin); code != "c" || err != nil || took != 3*acceptWait+2*requestLimit {
			t.Errorf("%q, %v after %v", code, err, took)
		}
		l.Close()
	})
}

func TestParseTokens(t *testing.T) {
	tests := []struct {
		in     string
		tokens tokens
		err    string
	}{
		{`{"access_token":"a","token_type":"bearer","expires_in":3600,"refresh_token":"r"}`, tokens{"a", "r", time.Hour}, ""},
		{`{"access_token":"a","expires_in":"3599"}`, tokens{"a", "", 3599 * time.Second}, ""},
		{`{"access_token":"a","token_type":"Bearer"}`, tokens{"a", "", unknownLife}, ""},
		{`{"access_token":"a","expires_in":null}`, tokens{"a", "", unknownLife}, ""},
		{`{"access_token":"a","expires_in":-1}`, tokens{"a", "", 0}, ""},
		{`{"access_token":"a","expires_in":1e300}`, tokens{"a", "", maxLife}, ""},
		{`{"access_token":"a","expires_in":"soon","refresh_token":"r"}`, tokens{"a", "r", unknownLife}, ""},
		{`{"access_token":"a","expires_in":{"s":1},"refresh_token":"r"}`, tokens{"a", "r", unknownLife}, ""},
		{`{"access_token":"a","expires_in":"","refresh_token":"r"}`, tokens{"a", "r", unknownLife}, ""},
		{`{"access_token":"a","expires_in":"NaN"}`, tokens{"a", "", unknownLife}, ""},
		{`{"token_type":["Bearer"],"error_description":0,"access_token":"a","refresh_token":"r"}`, tokens{"a", "r", unknownLife}, ""},
		{`{"error":"invalid_grant","error_description":{}}`, tokens{}, "the provider refused: invalid_grant"},
		{`["access_token"]`, tokens{}, "the answer is not the expected JSON"},
		{`{"access_token":"a","scope":"x","id_token":{}}`, tokens{"a", "", unknownLife}, ""},
		{`{"error":"invalid_grant","error_description":"x\ny"}`, tokens{}, "the provider refused: invalid_grant (x y)"},
		{`{"error":"invalid_grant","access_token":"a"}`, tokens{}, "the provider refused: invalid_grant"},
		{`{"access_token":"a b"}`, tokens{}, "the answer has no access token"},
		{`{"access_token":"a\u0001b"}`, tokens{}, "the answer has no access token"},
		{`{"access_token":""}`, tokens{}, "the answer has no access token"},
		{`{"access_token":"a","token_type":"mac"}`, tokens{}, "the token in the answer is not of the type Bearer"},
		{`{"access_token":"a","refresh_token":"r\n"}`, tokens{}, "the refresh token in the answer is malformed"},
		{`{"access_token":1}`, tokens{}, "the answer is not the expected JSON"},
		{`access_token=a`, tokens{}, "the answer is not the expected JSON"},
		{``, tokens{}, "the answer is not the expected JSON"},
	}
	for _, tt := range tests {
		got, err := parseTokens([]byte(tt.in))
		said := ""
		if err != nil {
			said = err.Error()
		}
		if got != tt.tokens || said != tt.err {
			t.Errorf("%s: %+v, %s; want %+v, %s", tt.in, got, said, tt.tokens, tt.err)
		}
	}
}

// FuzzParseTokens: every token that parseTokens returns can be stored as a secret and sent
// as a token; every error is a single line.
func FuzzParseTokens(f *testing.F) {
	for _, s := range []string{
		`{"access_token":"a","token_type":"bearer","expires_in":3600,"refresh_token":"r"}`,
		`{"access_token":"a","expires_in":"1e9"}`, `{"error":"x","error_description":"y\u001b"}`, `[]`, `{"expires_in":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseTokens(body)
		if err != nil {
			if text := err.Error(); got != (tokens{}) || len(text) > 2000 || strings.ContainsAny(text, "\r\n\x00\x1b") {
				t.Fatalf("%+v, %q", got, text)
			}
			return
		}
		for _, token := range []string{got.access, got.refresh} {
			if token == "" && token == got.refresh {
				continue
			}
			secret, err := NewSecret(token)
			if err != nil || secret.Reveal() != token {
				t.Fatalf("%q: %v", token, err)
			}
		}
		if got.life < 0 || got.life > maxLife {
			t.Fatalf("life %v", got.life)
		}
	})
}

// TestHush: no secret is shown if a provider repeats what it was sent.
func TestHush(t *testing.T) {
	form := map[string][]string{"refresh_token": {"r/t+1"}, "client_secret": {"s3kr1t"}, "client_id": {"client"}}
	err := refused(&refusal{"invalid_request", "client sent r/t+1 (r%2Ft%2B1) and s3kr1t"}, 400, form)
	if want := "the provider refused: invalid_request (client sent [secret] ([secret]) and [secret])"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
