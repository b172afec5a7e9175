//go:build unix

package submit_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// works sends with what a login has left, and forgets it.
func (b *tokenBench) works(t *testing.T) {
	t.Helper()
	b.send(0)
	b.counts(1, 0, 0) // with the access token that came with the refresh token
	b.run(0, b.command("", "sendoff", "--logout", "work"))
	if _, err := os.Stat(b.path("refresh")); err == nil {
		t.Error("the refresh token outlived --logout")
	}
	if out := b.send(77); !strings.Contains(out, ": sendoff --login work\n") {
		t.Errorf("the line names no command:\n%s", out)
	}
}

// testBrowser: the browser of this machine comes back, and others knock as well.
func testBrowser(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	l := b.login("--flow", "browser")
	page := b.await(l, pageLine)
	u, _ := url.Parse(page)
	if u.Query().Get("access_type") != "offline" || u.Query().Get("scope") != "mail" {
		t.Errorf("page %s", page)
	}
	// Others knock as well, on both addresses.
	back, _ := url.Parse(u.Query().Get("redirect_uri"))
	for _, stranger := range []string{"/favicon.ico", "/?code=x&state=wrong", "/?error=access_denied"} {
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			r, err := http.Get("http://" + host + ":" + back.Port() + stranger)
			if err != nil && host == "127.0.0.1" {
				t.Fatal(err)
			}
			if err == nil && r.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", stranger, r.Status)
			}
		}
	}
	if r := visit(t, page); r.StatusCode != http.StatusOK {
		t.Errorf("the browser sees %s", r.Status)
	}
	b.ends(0, l)
	b.works(t)
}

// testOpened: $BROWSER is opened where there is a display, with a page that leads to
// the provider's.
func testOpened(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	l, page, start := b.opened(t)
	request := redirected(t, start)
	if !strings.HasPrefix(request, b.url+"/authorize?") || !strings.Contains(request, "state=") {
		t.Fatalf("it leads to %s", request)
	}
	visit(t, request)
	b.ends(0, l)
	if _, err := os.Stat(page); err == nil {
		t.Errorf("%s is left", page)
	}
	b.works(t)
}

// testOpenedTwice: one of two visitors of the address where a browser begins may have
// come to answer with a code of their own.
func testOpenedTwice(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	l, page, start := b.opened(t)
	request := redirected(t, start)
	if r := visit(t, start); r.StatusCode != http.StatusGone {
		t.Errorf("the second visitor sees %s", r.Status)
	}
	if out := b.ends(77, l); !strings.Contains(out, "was opened twice, perhaps by somebody else") {
		t.Errorf("it says:\n%s", out)
	}
	if _, err := http.Get(request); err == nil {
		t.Error("the answer of the first visitor is still taken")
	}
	for _, path := range []string{page, b.path("refresh")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// opened starts a login with a display. It returns the file that the browser is
// started with, and the address to which that leads. All users of the machine can
// read the arguments of a browser.
func (b *tokenBench) opened(t *testing.T) (l *tokenLogin, page, start string) {
	t.Helper()
	script := "#!/bin/sh\nprintf '%s\\n' \"$2\" >" + b.path("part") + " && mv " + b.path("part") + " " + b.path("opened") + "\n"
	if err := os.WriteFile(b.path("browser"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	l = b.startWith([]string{"DISPLAY=:0", "BROWSER=no-such-browser:" + b.path("browser") + " --new %s"}, "--login", "work")
	var argument []byte
	for len(argument) == 0 {
		time.Sleep(10 * time.Millisecond)
		argument, _ = os.ReadFile(b.path("opened"))
	}
	address, err := url.Parse(strings.TrimSpace(string(argument)))
	if err != nil || address.Scheme != "file" || address.RawQuery != "" {
		t.Fatalf("opened: %s", argument)
	}
	info, err := os.Stat(address.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, mode %v", address.Path, err, info)
	}
	text, _ := os.ReadFile(address.Path)
	found := regexp.MustCompile(`content="0; url=(http://127\.0\.0\.1:\d+/\w+)"`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s:\n%s", address.Path, text)
	}
	return l, address.Path, string(found[1])
}

// testDevice: without a display it is a code, if the provider has such.
func testDevice(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	l := b.login() // there is no display
	b.provider.Enter(b.await(l, `open https://provider.example/device in any browser, and enter the code (\S+)`), true)
	b.ends(0, l)
	b.works(t)
}

// testPaste: the address at which another browser ended is pasted.
func testPaste(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.mechanism = "OAUTHBEARER"
	l := b.login("--flow", "paste")
	fmt.Fprintln(l.stdin, redirected(t, b.await(l, pageLine)))
	b.ends(0, l)
	b.works(t)
}

// testPasteOther: what is pasted is the answer to another request.
func testPasteOther(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	first, second := b.login("--flow", "paste"), b.login("--flow", "paste")
	fmt.Fprintln(second.stdin, redirected(t, b.await(first, pageLine)))
	b.ends(77, first) // nothing was pasted
	if out := b.ends(77, second); !strings.Contains(out, "its state differs") {
		t.Errorf("it says:\n%s", out)
	}
}

// testNoConsent: the person says no.
func testNoConsent(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.settings = []string{`from = "ann@example.org"`}
	l := b.login("--flow", "browser")
	page := b.await(l, pageLine)
	visit(t, strings.Replace(page, "login_hint=ann", "login_hint=nobody", 1))
	if out := b.ends(77, l); !strings.Contains(out, "sendoff: work: oauth2:test: the consent was refused: access_denied\n") {
		t.Errorf("it says:\n%s", out)
	}
	if _, err := os.Stat(b.path("refresh")); err == nil {
		t.Error("a refresh token without consent")
	}
}

// testNoWay: --flow means nothing elsewhere.
func testNoWay(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.run(64, b.command("", "sendoff", "--login", "work", "--flow", "telepathy"))
	b.run(64, b.command(mailText, "sendoff", "--flow", "paste", "bob@example.net"))
	b.run(64, b.command("", "sendoff", "--logout", "work", "--flow", "paste"))
	b.settings = []string{"[accounts.other]", `server = "smtps://mx.example"`, `user = "ann"`, `secret = "file:/nonexistent/x"`}
	b.run(64, b.command("x", "sendoff", "--login", "other", "--flow", "paste"))
}

// testNoClientSecret: a secret of the registration that is not there is missed
// before the person consents, and is nothing that --login stores.
func testNoClientSecret(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	for _, text := range []string{"", "\n"} {
		os.Remove(b.path("client"))
		if text != "" {
			if err := os.WriteFile(b.path("client"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := b.run(77, b.command("", "sendoff", "--login", "work", "--flow", "paste"))
		if !strings.Contains(out, "sendoff: hint: write the provider's client secret into that file, and protect it: chmod 600 "+b.path("client")+"\n") || strings.Contains(out, "open this address") {
			t.Errorf("it says:\n%s", out)
		}
	}
}

// testSetup: the wizard asks for consent, too, and sends its test mail.
func testSetup(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	l := b.start("--setup=ann@example.org", "--account", "new", "--server", "smtp+plain://"+b.mail, "--secret", "oauth2:test", "--for", "cron", "--yes")
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	b.ends(0, l)
	b.counts(1, 0, 0)
	if _, err := os.Stat(b.path("new.secret")); err != nil {
		t.Error(err)
	}
	text, _ := os.ReadFile(b.path("config.toml"))
	if !strings.HasSuffix(string(text), "secret = \"oauth2:test\"\nrefresh-token = \"file:~/new.secret\"\n") {
		t.Errorf("written:\n%s", text)
	}
	// Another account needs a refresh token of its own, although an access token is
	// kept that would do for now.
	l = b.start("--setup=ann@example.org", "--account", "newer", "--server", "smtp+plain://"+b.mail, "--secret", "oauth2:test", "--for", "cron", "--yes")
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	b.ends(0, l)
	if _, err := os.Stat(b.path("newer.secret")); err != nil {
		t.Error(err)
	}
}

// testSetupFails: of a consent that leads to no login nothing is left, so that
// the next one is asked for again. A file of that name is not touched, and known
// before anybody consents.
func testSetupFails(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	if err := os.WriteFile(b.path("new.secret"), []byte("theirs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *tokenLogin {
		return b.start("--setup=ann@example.org", "--account", "new", "--server", "smtp+plain://"+b.mail, "--user", "bob@example.org", "--secret", "oauth2:test", "--for", "cron", "--yes")
	}
	if out := b.ends(64, start()); !strings.Contains(out, "~/new.secret contains another secret already") {
		t.Errorf("it says:\n%s", out)
	}
	if text, _ := os.ReadFile(b.path("new.secret")); string(text) != "theirs\n" {
		t.Errorf("new.secret has %q", text)
	}
	os.Remove(b.path("new.secret"))
	for range 2 {
		l := start()
		b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
		if out := b.ends(77, l); !strings.Contains(out, "account not saved") {
			t.Errorf("it says:\n%s", out)
		}
		if _, err := os.Stat(b.path("new.secret")); err == nil {
			t.Error("the refresh token is left")
		}
	}
}

// testSetupUnwritten: nor is anything left of one whose account could not be
// written in the end.
func testSetupUnwritten(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	b.provider.Intercept = func(http.ResponseWriter, string) bool {
		os.Remove(b.path("config.toml"))
		os.Mkdir(b.path("config.toml"), 0o700)
		return false
	}
	l := b.start("--setup=ann@example.org", "--account", "new", "--server", "smtp+plain://"+b.mail, "--secret", "oauth2:test", "--for", "cron", "--yes")
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	if out := b.ends(78, l); !strings.Contains(out, "account not saved: ") {
		t.Errorf("it says:\n%s", out)
	}
	left, _ := filepath.Glob(b.path("run/sendoff/token-*"))
	if _, err := os.Stat(b.path("new.secret")); err == nil || len(left) > 0 {
		t.Errorf("the refresh token is left: %v, and %q", err, left)
	}
}

// testSetupStopped: nor of one that a person stops when they have consented.
func testSetupStopped(t *testing.T, bin string) {
	b := newTokenBench(t, bin)
	reached, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	b.onLogin = func() { close(reached); <-over }
	l := b.start("--setup=ann@example.org", "--account", "new", "--server", "smtp+plain://"+b.mail, "--secret", "oauth2:test", "--for", "cron", "--yes")
	b.provider.Enter(b.await(l, `enter the code (\S+)`), true)
	<-reached
	l.Process.Signal(os.Interrupt)
	if out := b.ends(75, l); !strings.Contains(out, "account not saved: interrupted by Ctrl-C") {
		t.Errorf("it says:\n%s", out)
	}
	if _, err := os.Stat(b.path("new.secret")); err == nil {
		t.Error("the refresh token is left")
	}
}

// redirected is where a browser on another machine ends that opens page.
func redirected(t *testing.T, page string) string {
	t.Helper()
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := stay.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.Header.Get("Location")
}
