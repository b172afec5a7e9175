package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-sasl"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

// An oracle is a mechanism that records the challenges, and answers each with "a".
type oracle struct {
	start error
	asked []string
}

func (o *oracle) Start() (string, []byte, error) { return "ORACLE", nil, o.start }

func (o *oracle) Next(challenge []byte) ([]byte, error) {
	o.asked = append(o.asked, string(challenge))
	return []byte("a"), nil
}

// TestLogin holds the part of a login that all mechanisms share.
func TestLogin(t *testing.T) {
	const asks, answers = "S: 334 eA==\n", "C: YQ==\n"
	tests := []struct {
		name, dialogue string
		client         sasl.Client // nil: no login
		asked          []string
		want           string
	}{
		{"none needed", "C: QUIT\n", nil, nil, ""},
		{"no start", "C: QUIT\n", &oracle{start: errors.New("no key")}, nil, "login failed: AUTH: no key"},
		{"challenges", "C: AUTH ORACLE\n" + asks + answers + "S: 334\n" + answers + "S: 235 ok\nC: QUIT\n", &oracle{}, []string{"x", ""}, ""},
		{"words for a challenge", "C: AUTH ORACLE\nS: 334 User Name:\n" + answers + "S: 235 ok\nC: QUIT\n", &oracle{}, []string{""}, ""},
		{"sixteen challenges", "C: AUTH ORACLE\n" + strings.Repeat(asks+answers, maxChallenges) + "S: 235 ok\nC: QUIT\n", &oracle{}, slices.Repeat([]string{"x"}, maxChallenges), ""},
		{"no end of challenges", "C: AUTH ORACLE\n" + strings.Repeat(asks+answers, maxChallenges) + asks + "C: QUIT\n", &oracle{},
			slices.Repeat([]string{"x"}, maxChallenges), "login failed: AUTH ORACLE: the server asks without end (mx)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, err := smtptest.Parse(tt.name, "S: 220 mx\nC: EHLO client\nS: 250-mx\nS: 250 AUTH ORACLE\n"+tt.dialogue)
				if err != nil {
					t.Fatal(err)
				}
				client, server := net.Pipe()
				served := make(chan error, 1)
				go func() { served <- tr.Serve(server) }()
				s, err := Open(context.Background(), client, Options{
					Security: None, Host: "mx", Name: "client",
					Auth: func(context.Context, []string, *tls.ConnectionState) (*Login, error) {
						if tt.client == nil {
							return nil, nil
						}
						return &Login{Client: tt.client}, nil
					},
				})
				got := ""
				if err != nil {
					got = fmt.Sprintf("%s: %v", status.KindOf(err), err)
				} else {
					s.Close()
				}
				if got != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
				if err := <-served; err != nil {
					t.Error(err)
				}
				if o, ok := tt.client.(*oracle); ok && !slices.Equal(o.asked, tt.asked) {
					t.Errorf("asked %q, want %q", o.asked, tt.asked)
				}
			})
		})
	}
}

// TestTrace holds that -v shows the whole dialogue except the text of the message.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := readDialogue(t, "testdata/dialogue/auth-failed.txt")
		d := newDialogue(t, tr)
		d.play()
		want := []string{"S: 220 mx.example ESMTP", "C: EHLO client.example", "S: 250-mx.example", "S: 250 AUTH PLAIN",
			"C: AUTH PLAIN ****", "S: 535-5.7.8 Bad password ****", "S: 535 5.7.8 (****)", "C: QUIT"}
		if !slices.Equal(d.trace, want) {
			t.Errorf("%q", d.trace)
		}
		d = newDialogue(t, readDialogue(t, "testdata/dialogue/auth-long.txt"))
		d.play()
		if !slices.Contains(d.trace, "C: (the message, 16 octets)") || !slices.Contains(d.trace, "S: 334 ") && !slices.Contains(d.trace, "S: 334") {
			t.Errorf("%q", d.trace)
		}
	})
}

// TestReplyBounds accepts replies that are just within the bounds, and holds that only the
// enhanced code of the reply is removed from its lines.
func TestReplyBounds(t *testing.T) {
	most := strings.Repeat("250-x\r\n", maxReplyLines-1)
	if r, err := readString(most + "250 x\r\n"); err != nil || len(r.Lines) != maxReplyLines {
		t.Errorf("%d lines: %v", len(r.Lines), err)
	}
	if _, err := readString(most + "250-x\r\n250 x\r\n"); err == nil {
		t.Error("one line too many is taken")
	}
	line := strings.Repeat("x", maxReply/32-len("250-"))
	if _, err := readString(strings.Repeat("250-"+line+"\r\n", 31) + "250 " + line + "\r\n"); err != nil {
		t.Errorf("%d octets: %v", maxReply, err)
	}
	if _, err := readString(strings.Repeat("250-"+line+"\r\n", 31) + "250 " + line + "x\r\n"); err == nil {
		t.Error("one octet too many is taken")
	}
	for in, want := range map[string]string{
		"550-5.1.1 a\r\n550 5.7.1 b\r\n": "550 5.1.1 a 5.7.1 b",
		"550-a\r\n550 5.1.1 b\r\n":       "550 a 5.1.1 b",
		"550-5.1.1 a\r\n550 b\r\n":       "550 5.1.1 a b",
	} {
		if r, err := readString(in); err != nil || r.String() != want {
			t.Errorf("%q: %q, %v", in, r, err)
		}
	}
}

// TestWantsNotices holds that each parameter of DSN causes a remark if the server does not
// offer DSN.
func TestWantsNotices(t *testing.T) {
	to := envelope.Recipient{Address: address(t, "b@example.org")}
	for name, e := range map[string]*envelope.Envelope{
		"":       {To: []envelope.Recipient{to}},
		"RET":    {Return: envelope.ReturnHeaders},
		"ENVID":  {ID: "1"},
		"NOTIFY": {To: []envelope.Recipient{to, {Address: to.Address, Notify: envelope.NotifyNever}}},
		"ORCPT":  {To: []envelope.Recipient{{Address: to.Address, Original: "x"}}},
	} {
		if wantsNotices(e) != (name != "") {
			t.Errorf("%q is missed: %t", name, wantsNotices(e))
		}
	}
}

// TestRefusesSender holds which refusals are about the sender.
func TestRefusesSender(t *testing.T) {
	tests := []struct {
		phase phase
		reply string
		want  bool
	}{
		{mail, "501 Invalid MAIL FROM address provided", true},
		{mail, "550 5.7.1 no", true},
		{mail, "553 what?", true},
		{mail, "450 4.7.1 not now", false},
		{mail, "421 4.7.0 <> not now", false},
		{mail, "530 5.7.0 log in first", false},
		{mail, "535 5.7.8 no", false},
		{mail, "552 5.3.4 too big", false},
		{rcpt, "553 5.7.1 <>: Sender address rejected: not owned by user ann", true},
		{rcpt, "550 5.7.1 relay access denied", true},
		{rcpt, "550 5.1.8 no", true},
		{rcpt, "554 no", true},
		{rcpt, "550 Sender verify failed", true},
		{rcpt, "550 Bounces are not accepted here", true},
		{rcpt, "550 no such user", false},
		{rcpt, "550 5.1.1 no such user", false},
		{rcpt, "550 5.2.1 disabled", false},
		{rcpt, "552 5.2.2 over quota", false},
		{rcpt, "450 4.7.1 <>: Sender address rejected: try later", false},
		{data, "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce", true},
		{dot, "554 5.2.252 SendAsDenied; x", true},
		{dot, "550 5.1.8 Access denied", true},
		{dot, "550 5.7.60 Client does not have permissions to send as this sender", true},
		{dot, "554 Message rejected: the following identities failed the check", true},
		{dot, "554 5.7.1 spam", false},
		{dot, "554 no", false},
		{dot, "552 5.3.4 the sender's message is too big", false},
		{dot, "451 4.7.1 <> not now", false},
	}
	for _, tt := range tests {
		r, err := readString(tt.reply + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.refusesSender(tt.phase); got != tt.want {
			t.Errorf("%q in phase %d: %t", tt.reply, tt.phase, got)
		}
	}
}
