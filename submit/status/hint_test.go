package status

import (
	"fmt"
	"strings"
	"testing"
)

// TestHint holds lines as users see them against the remedy they get.
func TestHint(t *testing.T) {
	tests := []struct {
		err  error
		hint string // some words of it; "" for none
	}{
		{Connection.Errorf("connect to smtp.example.org:465: connection refused"), "right port"},
		{Connection.Errorf("connect to smtp.example.org:465: no route to host"), "blocked"},
		{Connection.Errorf("connect to smtp.example.org:587: connection refused"), "firewall"},
		{Connection.Errorf("connect to smtp.example.org:25: no answer within 30s"), "port 25"},
		{Connection.Errorf("not ready for mail within 1m0s while waiting for the greeting (mx.example:465)"), "port 465 is for TLS"},
		{Connection.Errorf("TLS: the server broke off the handshake (mx.example:587)"), "port 587 begins without TLS"},
		{Connection.Errorf("TLS: connection reset by peer in the handshake (mx.example:25)"), "port 25 begins without TLS"},
		{Connection.Errorf("TLS: the server broke off the handshake (mx.example)"), "firewall"},
		{Connection.Errorf("look up smtp.example.org: no such host"), "name"},
		{Connection.Errorf("look up smtp.example.org: no such host, says the name server 192.0.2.53"), "server's name"},
		{Connection.Errorf("look up nas.local: no such host, says the name server 192.0.2.53"), "multicast"},
		{Connection.Errorf("look up nas.local: the name server 192.0.2.53 does not answer"), "multicast"},
		{Connection.Errorf("look up mail.local.example: no such host"), "server's name"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 does not answer"), "resolv.conf"},
		{Connection.Errorf("look up smtp.example.org: the name server 127.0.0.53 refuses to answer: connection refused"), "running"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 cannot be reached: network is unreachable"), "is there a network"},
		{Connection.Errorf("look up smtp.example.org: the name server 192.0.2.53 fails, or gives an answer that makes no sense"), "another name server"},
		{AuthFailed.Errorf("AUTH PLAIN: 534 5.7.9 Application-specific password required"), "app password"},
		{AuthFailed.Errorf("AUTH LOGIN: 535 5.7.139 Authentication unsuccessful"), "Microsoft"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 bad credentials"), "--login ACCOUNT"},
		{Config.Errorf("login: for PLAIN, LOGIN the secret must be a password, and it is a token"), "takes no token"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.3 no (mx); the secret is from command pass"), "run the command"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no - gsmtp (smtp.gmail.com); the secret is from command pass"), "app password"},
		{AuthFailed.Errorf("nothing is written: AUTH PLAIN: 535 5.7.3 no (mx); the secret is from command pass"), "run the command"},
		{AuthFailed.Errorf("AUTH XOAUTH2: 535 5.7.8 no (smtp.gmail.com); the secret is from command gettoken"), "its token"},
		{AuthFailed.Errorf("AUTH OAUTHBEARER: 535 5.7.8 no (smtp.gmail.com); the secret is from oauth2:google"), "of another user"},
		{AuthFailed.Errorf("AUTH XOAUTH2: 535 5.7.3 no (smtp.office365.com)"), "of another user"},
		{AuthFailed.Errorf("AUTH PLAIN: 535 5.7.8 no (mx); the secret is from oauth2:google"), "auth"},
		{AuthFailed.Errorf("oauth2:google: the provider refuses: invalid_grant (AADSTS53500); run sendoff --login work"), "7 days"},
		{AuthFailed.Errorf("oauth2:google: the provider refuses: invalid_client"), "client-id"},
		{Credential.Errorf("file:/etc/sendoff/work.secret: open: permission denied"), "sendoff --setup"},
		{Credential.Errorf("command pass: permission denied"), ""},
		{Credential.Errorf("oauth2:google: client-secret: file:~/google.client: open: no such file or directory"), "mode 600"},
		{Credential.Errorf("oauth2:google: client-secret: keyring: no password stored"), "client-secret of"},
		{Credential.Errorf("file:~/pw: the secret is empty"), "sendoff --login ACCOUNT"},
		{Credential.Errorf("command pass: the secret is empty"), "by hand"},
		{Credential.Errorf("systemd:pw: the secret is empty"), "systemd"},
		{Credential.Errorf("oauth2:google: keyring: locked"), "sendoff --login ACCOUNT --for cron"},
		{Connection.Errorf("AUTH XOAUTH2: 454 4.7.0 Temporary authentication failure"), ""},
		{Connection.Errorf("oauth2:google: oauth2.googleapis.com: connection refused"), "provider"},
		{Insecure.Errorf("TLS: certificate of mx: expired on 2026-01-01, and this machine's clock says 2026-02-01"), "clock"},
		{Config.Errorf("no account configured"), "config.toml"},
		{Config.Errorf("/etc/sendoff/config.toml: permission denied"), "enter its folder"},
		{Deferred.Errorf("RCPT TO:<b@example.org>: 450 4.2.0 greylisted"), ""},
		{Refused.Errorf("connect to"), ""},
	}
	for _, tt := range tests {
		got := Hint(tt.err)
		if (got == "") != (tt.hint == "") || !strings.Contains(got, tt.hint) {
			t.Errorf("%v: %q, want %q in it", tt.err, got, tt.hint)
		}
	}
}

// Before --setup has written an account there are no settings to change: a hint
// names the option that says the same, or the one that writes the account.
func TestHintUnwritten(t *testing.T) {
	tests := []struct {
		err  error
		hint string
	}{
		{Connection.Errorf("connect to mx.example:465: connection refused"), "is it the right port? Try --server smtp://…, which is 587"},
		{Insecure.Errorf("TLS: certificate of mx.example: signed by itself"), "is this the server you meant? If so, compare the SHA-256 with whoever runs it, and set tls-fingerprint to it; --force writes the account for you to add that"},
		{Insecure.Errorf("TLS: certificate of mx.example: expired on 2026-01-01"), "whoever runs the server has to renew it, unless this machine's clock is wrong"},
		{AuthFailed.Errorf("oauth2:google: the provider refuses: invalid_client"), "check the client id and its secret, --client-id and --client-secret-file, or those in a table [oauth2.NAME] that is there"},
		{Config.Errorf("login: the server takes only OAuth2 tokens"), "use --secret oauth2:NAME, see Provider settings in sendoff.toml(5); if the secret is a token, --force writes the account for you to name the mechanism in auth"},
		{Config.Errorf("config.toml: account work has no server"), "add server = \"smtps://HOST\""},
		{Refused.Errorf("MAIL FROM:<ann@example.org>: 550 no"), "use an address that this login may send as, in --setup=ADDRESS"},
	}
	for _, tt := range tests {
		if got := Hint(fmt.Errorf("nothing is written: %w", tt.err)); got != tt.hint {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.hint)
		}
	}
	for _, row := range hints {
		words := strings.ReplaceAll(row.words, "|", " ")
		hint := Hint(row.kind.Errorf("nothing is written: %s", words))
		for _, setting := range []string{"server = \"smtp", "secret = ", "check client-id", "force-sender", "set user"} {
			if strings.Contains(hint, setting) && words != "has no server" {
				t.Errorf("%q: speaks of a setting: %q", words, hint)
			}
		}
		if row.kind == Insecure && strings.Contains(hint, "tls-") && !strings.Contains(hint, "--force") {
			t.Errorf("%q: speaks of a setting: %q", words, hint)
		}
	}
}

// TestHintTable looks for rows that can never be reached, because one before
// them takes all they could.
func TestHintTable(t *testing.T) {
	for i, row := range hints {
		if strings.ToLower(row.words) != row.words {
			t.Errorf("row %d: %q is not in lower case", i, row.words)
		}
		if strings.Contains(row.hint, "\n") || row.hint == "" {
			t.Errorf("row %d: not one line: %q", i, row.hint)
		}
		if got := Hint(row.kind.Errorf("%s", strings.ReplaceAll(row.words, "|", " "))); got != row.hint {
			t.Errorf("row %d, %q, is hidden by another: %q", i, row.words, got)
		}
	}
}

// An account that no file defines is not one to log in to by name.
func TestHintFor(t *testing.T) {
	tests := []struct {
		err           error
		account, want string
	}{
		{Credential.Errorf("keyring: no D-Bus session bus"), "work", "nobody is logged in here, as under cron: keep the secret in a file, by sendoff --login work --for cron (or service)"},
		{Credential.Errorf("keyring: no D-Bus session bus"), "", "nobody is logged in here, as under cron: keep the secret in a file"},
		{Credential.Errorf("keyring: no password stored"), "work", "store it: sendoff --login work"},
		{Credential.Errorf("keyring: no password stored"), "", ""},
		{Credential.Errorf("x"), "work", ""},
	}
	for _, tt := range tests {
		if got := HintFor(tt.err, tt.account); got != tt.want {
			t.Errorf("%v, %q: got %q, want %q", tt.err, tt.account, got, tt.want)
		}
	}
}
