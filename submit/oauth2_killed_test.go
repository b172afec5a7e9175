//go:build unix

package submit_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testKilled kills the program between the provider's answer and the
// moment when its new refresh token is safe. What is there then is tried; if it
// was the old one, and the provider wants it no more, that is the account's
// fault: mail waits, and the line says what to do.
func testKilled(t *testing.T, bin string) {
	// reconcile looks at what a killed process has left.
	reconcile := func(t *testing.T, b *tokenBench, old string, oldIsGood bool) (safe bool) {
		t.Helper()
		b.provider.Intercept, b.provider.After = nil, nil
		text, err := os.ReadFile(b.path("refresh"))
		if err != nil || !regexp.MustCompile(`^refresh-[A-Z2-7]{26}\n$`).Match(text) {
			t.Fatalf("the refresh token is now %q, %v", text, err)
		}
		safe = string(text) != old+"\n"
		if cached, _ := filepath.Glob(b.path("run/sendoff/token-*")); len(cached) > 0 && !safe {
			t.Error("the access token was there before the refresh token")
		}
		if safe || oldIsGood {
			b.send(0)
			return safe
		}
		if out := b.run(0, b.command(mailText, "sendmail", "bob@example.net")); out != "" {
			t.Errorf("it says:\n%s", out)
		}
		if out := b.send(77); !strings.Contains(out, ": sendoff --login work\n") {
			t.Errorf("it says:\n%s", out)
		}
		l := b.login("--flow", "paste")
		fmt.Fprintln(l.stdin, redirected(t, b.await(l, pageLine)))
		b.ends(0, l)
		b.run(0, b.command("", "sendoff", "-q"))
		if b.mails.Load() != 1 {
			t.Errorf("%d mails", b.mails.Load())
		}
		return false
	}
	kill := func(cmd *exec.Cmd, when <-chan struct{}, after time.Duration) {
		<-when
		time.Sleep(after)
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprintf("before the answer, once=%t", once), func(t *testing.T) {
			b := newTokenBench(t, bin)
			b.provider.Once = once
			old := b.consent()
			asked, over := make(chan struct{}), make(chan struct{})
			defer close(over)
			b.provider.Intercept = func(w http.ResponseWriter, _ string) bool {
				if once {
					b.provider.Revoke(true) // the old one is gone, the answer does not come
				}
				w.WriteHeader(http.StatusOK)
				io.WriteString(w, `{"access_token":"access-`)
				w.(http.Flusher).Flush()
				close(asked)
				<-over
				return true
			}
			cmd := b.command(mailText, "sendoff", "bob@example.net")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill(cmd, asked, 0)
			if reconcile(t, b, old, !once) {
				t.Error("a new refresh token from half an answer")
			}
		})
	}
	t.Run("after the answer", func(t *testing.T) {
		outcomes := make(map[bool]int)
		rounds := 24
		if testing.Short() {
			rounds = 6
		}
		for n := range rounds {
			b := newTokenBench(t, bin)
			old := b.consent()
			answered := make(chan struct{})
			b.provider.After = func(string) { close(answered) }
			cmd := b.command(mailText, "sendoff", "bob@example.net")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill(cmd, answered, time.Duration(n)*100*time.Microsecond)
			sent := b.mails.Load()
			if safe := reconcile(t, b, old, false); !safe && sent > 0 {
				t.Error("an access token was used before the refresh token was safe")
			} else {
				outcomes[safe]++
			}
		}
		t.Logf("the new refresh token was safe in %d of %d", outcomes[true], rounds)
	})
	t.Run("the server is not there", func(t *testing.T) {
		// Nobody waits for the token any more, and yet it is kept.
		b := newTokenBench(t, bin)
		old := b.consent()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		mail := b.mail
		b.mail = l.Addr().String()
		b.provider.Intercept = func(http.ResponseWriter, string) bool {
			time.Sleep(300 * time.Millisecond) // so that the connection is refused before
			return false
		}
		b.send(0) // queued
		b.mail = mail
		if !reconcile(t, b, old, false) {
			t.Error("the new refresh token was lost")
		}
	})
	t.Run("the doctor is interrupted", func(t *testing.T) {
		b := newTokenBench(t, bin)
		old := b.consent()
		asked := make(chan struct{})
		b.provider.Intercept = func(http.ResponseWriter, string) bool {
			close(asked)
			time.Sleep(300 * time.Millisecond) // so that the signal comes before
			return false
		}
		cmd := b.command("", "sendoff", "--doctor")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-asked
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 75 {
			t.Errorf("exit %d", code)
		}
		if !reconcile(t, b, old, false) {
			t.Error("the new refresh token was lost")
		}
	})
}
