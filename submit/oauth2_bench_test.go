//go:build unix

package submit_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sendoff/submit/credential/oauth2test"
)

// A tokenBench is the real program between a provider of access tokens and a
// smarthost that takes nothing else.
//
//	         ┌─ provider ── oauth2test
//	sendoff ─┤                 │ is this token good?
//	         └─ smarthost ─────┘
type tokenBench struct {
	t         *testing.T
	bin, dir  string
	provider  *oauth2test.Provider
	url       string // of the provider
	mail      string // of the smarthost
	mechanism string // the only one that it offers
	mails     atomic.Int32
	refused   atomic.Int32 // logins
	settings  []string     // more of the account
	noFolder  bool         // the runtime folder is not there
	onLogin   func()       // is called before one is answered
}

const clientSecret = "client-s3kr1t"

func newTokenBench(t *testing.T, bin string) *tokenBench {
	t.Helper()
	b := &tokenBench{t: t, bin: bin, dir: t.TempDir(), mechanism: "XOAUTH2"}
	b.provider = &oauth2test.Provider{ClientID: "client", ClientSecret: clientSecret, Life: time.Hour, Once: true, User: "ann@example.org"}
	server := httptest.NewServer(b.provider)
	t.Cleanup(func() {
		server.CloseClientConnections() // one may wait for somebody who was killed
		server.Close()
		for _, trouble := range b.provider.Trouble() {
			t.Error(trouble)
		}
	})
	b.url = server.URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b.mail = l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.smarthost(conn)
		}
	}()
	if err := errors.Join(os.Mkdir(b.path("run"), 0o700), os.WriteFile(b.path("client"), []byte(clientSecret+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tokenBench) path(name string) string { return filepath.Join(b.dir, name) }

// smarthost is a session of a server that takes mail from whoever has a token.
func (b *tokenBench) smarthost(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	say := func(line string) { io.WriteString(conn, line+"\r\n") }
	say("220 mx.example ESMTP")
	in := false
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch strings.ToUpper(words[0]) {
		case "EHLO":
			say("250-mx.example\r\n250 AUTH PLAIN LOGIN " + b.mechanism)
		case "AUTH":
			if b.onLogin != nil {
				b.onLogin()
			}
			if in = len(words) == 3 && words[1] == b.mechanism && b.good(words[2]); in {
				say("235 2.7.0 ok")
				continue
			}
			b.refused.Add(1)
			say("334 " + base64.StdEncoding.EncodeToString([]byte(`{"status":"401","scope":"mail"}`)))
			lines.Scan()
			say("535 5.7.8 no")
		case "DATA":
			if !in {
				say("530 5.7.0 log in first")
				continue
			}
			say("354 go")
			for lines.Scan() && lines.Text() != "." {
			}
			b.mails.Add(1)
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// good reports whether an initial response has a good token.
func (b *tokenBench) good(response string) bool {
	text, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		return false
	}
	begin := "user=ann@example.org\x01"
	if b.mechanism == "OAUTHBEARER" {
		begin = "n,a=ann@example.org,\x01"
	}
	rest, ok := strings.CutPrefix(string(text), begin)
	rest, bearer := strings.CutPrefix(rest, "auth=Bearer ")
	token, end := strings.CutSuffix(rest, "\x01\x01")
	return ok && bearer && end && b.provider.Good("ann@example.org", token)
}

// consent gives the account a refresh token.
func (b *tokenBench) consent() string {
	token := b.provider.Refresh("ann@example.org")
	if err := os.WriteFile(b.path("refresh"), []byte(token+"\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return token
}

// command makes a call of the program, by one of its names.
func (b *tokenBench) command(stdin, name string, args ...string) *exec.Cmd {
	b.t.Helper()
	lines := []string{
		`hostname = "client.example"`, `log = "off"`, `runner = "off"`, fmt.Sprintf("queue = %q", b.path("queue")),
		"[oauth2.test]", `client-id = "client"`, fmt.Sprintf("client-secret = %q", "file:"+b.path("client")), `scopes = "mail"`,
		fmt.Sprintf("auth-url = %q\ntoken-url = %q\ndevice-url = %q", b.url+"/authorize?access_type=offline", b.url+"/token", b.url+"/device"),
		"[accounts.work]", fmt.Sprintf("server = %q", "smtp+plain://"+b.mail), `user = "ann@example.org"`, `secret = "oauth2:test"`,
		fmt.Sprintf("refresh-token = %q", "file:"+b.path("refresh")),
	}
	text := strings.Join(append(lines, b.settings...), "\n") + "\n"
	if err := os.WriteFile(b.path("config.toml"), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(b.bin, name), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "SENDOFF_TEST_HOME=" + b.dir, "SENDOFF_CONFIG=" + b.path("config.toml"), "XDG_RUNTIME_DIR=" + b.path("run")}
	if b.noFolder {
		os.Remove(b.path("run"))
	}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = b.dir
	return cmd
}

// secrets is what nobody may be shown: tokens, codes and the client's secret.
var secrets = regexp.MustCompile(`(refresh|access|code|device)-[A-Z2-7]{26}|` + clientSecret)

// run runs a call to its end, which is to have that exit code, and returns what
// it said. It shows no secret.
func (b *tokenBench) run(exit int, cmd *exec.Cmd) string {
	b.t.Helper()
	out, err := cmd.CombinedOutput()
	if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
		b.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		b.t.Fatalf("%q: exit %d, want %d:\n%s", cmd.Args, got, exit, out)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if text, err := base64.StdEncoding.DecodeString(word); err == nil {
			out = append(out, text...)
		}
	}
	if m := secrets.Find(out); m != nil {
		b.t.Errorf("%q shows %s:\n%s", cmd.Args, m, out)
	}
	return string(out)
}

const mailText = "From: ann@example.org\nSubject: hello\n\nIt works.\n"

// send sends a mail with the sendoff face.
func (b *tokenBench) send(exit int) string {
	b.t.Helper()
	return b.run(exit, b.command(mailText, "sendoff", "-v", "bob@example.net"))
}

func (b *tokenBench) counts(mails, refused, refreshes int) {
	b.t.Helper()
	if m, r, f := int(b.mails.Load()), int(b.refused.Load()), b.provider.Count("refresh_token"); m != mails || r != refused || f != refreshes {
		b.t.Errorf("%d mails, %d logins refused, %d refreshed; want %d, %d, %d", m, r, f, mails, refused, refreshes)
	}
}

// A login is a running sendoff --login.
type tokenLogin struct {
	*exec.Cmd
	stdin io.WriteCloser
	said  *bufio.Scanner
	all   bytes.Buffer
}

func (b *tokenBench) login(args ...string) *tokenLogin {
	b.t.Helper()
	return b.start(append([]string{"--login", "work"}, args...)...)
}

// start starts whatever asks for a person's consent.
func (b *tokenBench) start(args ...string) *tokenLogin {
	b.t.Helper()
	return b.startWith(nil, args...)
}

// startWith is start with more in the environment.
func (b *tokenBench) startWith(env []string, args ...string) *tokenLogin {
	b.t.Helper()
	l := &tokenLogin{Cmd: b.command("", "sendoff", args...)}
	l.Env = append(l.Env, env...)
	l.Stdin = nil
	var err1, err2 error
	l.stdin, err1 = l.StdinPipe()
	r, w, err := os.Pipe()
	l.Stdout, l.Stderr = w, w
	err2 = l.Start()
	w.Close()
	if err := errors.Join(err, err1, err2); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { r.Close() })
	l.said = bufio.NewScanner(io.TeeReader(r, &l.all))
	return l
}

// await returns what the first group of pattern is in a line that it says.
func (b *tokenBench) await(l *tokenLogin, pattern string) string {
	b.t.Helper()
	for l.said.Scan() {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(l.said.Text()); m != nil {
			return m[1]
		}
	}
	l.Wait()
	b.t.Fatalf("no line like %s in\n%s", pattern, l.all.String())
	return ""
}

// ends waits for the end of a login.
func (b *tokenBench) ends(exit int, l *tokenLogin) string {
	b.t.Helper()
	l.stdin.Close()
	for l.said.Scan() {
	}
	l.Wait()
	if got := l.ProcessState.ExitCode(); got != exit {
		b.t.Fatalf("exit %d, want %d:\n%s", got, exit, l.all.String())
	}
	if m := secrets.Find(l.all.Bytes()); m != nil {
		b.t.Errorf("it shows %s:\n%s", m, l.all.String())
	}
	return l.all.String()
}

const pageLine = `address[^:]*: (http://127\S+)`

// visit is a browser that opens an address and follows where it leads.
func visit(t *testing.T, address string) *http.Response {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r
}
