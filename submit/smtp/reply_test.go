package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/status"
)

func same(s string) string { return s }

func readString(s string) (Reply, error) {
	return readReply(bufio.NewReaderSize(strings.NewReader(s), maxReplyLine), same, func(string) {})
}

func TestReadReply(t *testing.T) {
	tests := []struct {
		in, out string // out: Reply.String, or "error: " and the error
		code    status.Code
	}{
		{"250 ok\r\n", "250 ok", status.Code{Class: 2}},
		{"250\r\n", "250", status.Code{Class: 2}},
		{"250 \r\n", "250", status.Code{Class: 2}},
		{"299 2.1.5 fine\r\n", "299 2.1.5 fine", status.Code{Class: 2, Subject: 1, Detail: 5}},
		{"250-a\r\n250-\r\n250 b\r\n", "250 a b", status.Code{Class: 2}},
		{"550-5.1.1 no such\r\n550 5.1.1 user\r\n", "550 5.1.1 no such user", status.Code{Class: 5, Subject: 1, Detail: 1}},
		{"550 4.1.1 which?\r\n", "550 4.1.1 which?", status.Code{Class: 5}},
		{"550-no\r\n550 5.0.0 really\r\n", "550 no 5.0.0 really", status.Code{Class: 5}},
		{"550 5.1.1\r\n", "550 5.1.1", status.Code{Class: 5, Subject: 1, Detail: 1}},
		{"250 bare LF\n", "250 bare LF", status.Code{Class: 2}},
		{"554 esc\x1b[2Jape\tbell\a\r\n", "554 esc�[2Jape bell�", status.Code{Class: 5}},
		{"554 \xff\xfe latin\r\n", "554 �� latin", status.Code{Class: 5}},
		{"554 cr\rin it\r\n", "554 cr�in it", status.Code{Class: 5}},
		{"554 " + strings.Repeat("é", 498) + "\r\n", "554 " + strings.Repeat("é", 498), status.Code{Class: 5}},
		{"554 " + strings.Repeat("é", 499) + " see https://mx.example/why\r\n", "554 " + strings.Repeat("é", 246) + " … " + strings.Repeat("é", 235) + " see https://mx.example/why", status.Code{Class: 5}},

		{"", "error: EOF", status.Code{}},
		{"25", "error: unexpected EOF", status.Code{}},
		{"250 ok", "error: unexpected EOF", status.Code{}},
		{"250-a\r\n", "error: EOF", status.Code{}},
		{"250-a\r\n550 b\r\n", "error: the answer is not SMTP: a line of 550 in a reply of 250", status.Code{}},
		{"250-a\r\n250\tb\r\n", `error: the answer is not SMTP: "250 b"`, status.Code{}},
		{"199 early\r\n", `error: the answer is not SMTP: "199 early"`, status.Code{}},
		{"600 late\r\n", `error: the answer is not SMTP: "600 late"`, status.Code{}},
		{"25 ok\r\n", `error: the answer is not SMTP: "25 ok"`, status.Code{}},
		{"2500 ok\r\n", `error: the answer is not SMTP: "2500 ok"`, status.Code{}},
		{" 250 ok\r\n", `error: the answer is not SMTP: " 250 ok"`, status.Code{}},
		{"SSH-2.0-OpenSSH\r\n", `error: the answer is not SMTP: "SSH-2.0-OpenSSH"`, status.Code{}},
		{"\r\n", `error: the answer is not SMTP: ""`, status.Code{}},
		{"250 " + strings.Repeat("x", maxReplyLine) + "\r\n", "error: the answer is not SMTP: a line of more than 4096 octets", status.Code{}},
		{strings.Repeat("250-x\r\n", maxReplyLines+1), "error: the answer is not SMTP: a reply of more than 128 lines or 65536 octets", status.Code{}},
		{strings.Repeat("250-"+strings.Repeat("x", 2000)+"\r\n", 40), "error: the answer is not SMTP: a reply of more than 128 lines or 65536 octets", status.Code{}},
	}
	for _, tt := range tests {
		r, err := readString(tt.in)
		if words, bad := strings.CutPrefix(tt.out, "error: "); bad {
			if err == nil || err.Error() != words {
				t.Errorf("%.60q: %v, %v; want %q", tt.in, r, err, words)
			}
		} else if err != nil || r.String() != tt.out || r.Status != tt.code {
			t.Errorf("%.60q: %q %v, %v; want %q %v", tt.in, r, r.Status, err, tt.out, tt.code)
		}
	}
}

// TestKind holds the kind of each refusal: whose fault it is, and whether to try again.
func TestKind(t *testing.T) {
	tests := []struct {
		phase phase
		reply string
		kind  status.Kind
		code  string
	}{
		{rcpt, "550 5.1.1 no such user", status.NoUser, "5.1.1"},
		{rcpt, "550 no such user", status.NoUser, "5.1.1"},
		{rcpt, "551 moved", status.NoUser, "5.1.1"},
		{rcpt, "553 bad name", status.NoUser, "5.1.1"},
		{rcpt, "550 5.7.1 relay denied", status.NotAllowed, "5.7.1"},
		{rcpt, "554 5.0.0 no", status.Refused, "5.0.0"},
		{rcpt, "552 too many recipients", status.Deferred, "4.0.0"},
		{rcpt, "452 4.5.3 too many recipients", status.Deferred, "4.5.3"},
		{rcpt, "450 try later", status.Deferred, "4.0.0"},
		{rcpt, "550 4.2.2 contradicts itself", status.NoUser, "5.1.1"},
		{rcpt, "550 5.4.5 congestion", status.Deferred, "4.4.5"},
		{mail, "550 no", status.Refused, "5.0.0"},
		{mail, "552 too big", status.TooBig, "5.0.0"},
		{mail, "530 5.7.0 log in first", status.AuthFailed, "4.7.0"},
		{mail, "550 5.1.8 bad sender", status.NotAllowed, "5.1.8"},
		{mail, "501 5.1.7 bad syntax", status.NotAllowed, "5.1.7"},
		{rcpt, "550 5.1.8 bad sender", status.NotAllowed, "5.1.8"},
		{dot, "550 5.1.8 Access denied, bad outbound sender AS(42004)", status.NotAllowed, "5.1.8"},
		{mail, "450 4.1.8 no such domain yet", status.Deferred, "4.1.8"},
		{dot, "552 5.3.4 too big", status.TooBig, "5.3.4"},
		{dot, "552 5.2.3 too big for the mailbox", status.TooBig, "5.2.3"},
		{dot, "552 5.7.0 content", status.NotAllowed, "5.7.0"},
		{dot, "554 spam", status.Refused, "5.0.0"},
		{dot, "554 5.6.0 bad", status.Refused, "5.6.0"},

		// Limits. Words about a recipient mean a limit of the recipient's.
		{mail, "421 4.3.0 bye", status.Limited, "4.3.0"},
		{rcpt, "421 bye", status.Limited, "4.0.0"},
		{mail, "450 4.7.1 slow down", status.Limited, "4.7.1"},
		{mail, "432 4.3.2 thread limit", status.Limited, "4.3.2"},
		{data, "451 4.4.5 busy", status.Limited, "4.4.5"},
		{dot, "451 4.7.1 slow down", status.Limited, "4.7.1"},
		{mail, "450 busy", status.Deferred, "4.0.0"},
		{dot, "452 4.3.1 disk", status.Deferred, "4.3.1"},
		{dot, "454 Throttling failure: Maximum sending rate exceeded.", status.Limited, "4.0.0"},
		{rcpt, "450 4.7.1 greylisted", status.Deferred, "4.7.1"},
		{rcpt, "450 4.3.2 not now", status.Deferred, "4.3.2"},
		{rcpt, "450 4.7.1 Error: too much mail from 192.0.2.1", status.Limited, "4.7.1"},
		{rcpt, "450 4.7.1 Error: too many recipients from 192.0.2.1", status.Limited, "4.7.1"},
		{rcpt, "451 4.7.1 sender rate limit exceeded", status.Limited, "4.7.1"},
		{rcpt, "450 4.2.1 The user you are trying to contact is receiving mail at a rate that is too high", status.Deferred, "4.2.1"},
		{rcpt, "451 4.7.1 recipient rate limit exceeded", status.Deferred, "4.7.1"},
		{rcpt, "452 4.2.2 over quota, too many messages in the mailbox", status.Deferred, "4.2.2"},
		{dot, "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message", status.Limited, "4.2.0"},
		{rcpt, "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", status.Limited, "4.1.90"},
		{dot, "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\r\n550 5.4.5 sending limits go to https://example.org", status.Limited, "4.4.5"},
		{dot, "550 5.4.6 Unusual sending activity detected. Please try after sometime", status.Limited, "4.4.6"},
		{rcpt, "550 Domain example.org has exceeded the max emails per hour (200/200 (100%)) allowed. Message discarded.", status.Limited, "4.0.0"},
		{dot, "554 5.2.0 STOREDRV.Deliver: quota exceeded", status.Refused, "5.2.0"},
		{rcpt, "554 5.2.0 SubmissionQuotaExceeded", status.Refused, "5.2.0"},
		{dot, "550 5.4.6 routing loop detected", status.Refused, "5.4.6"},
		{rcpt, "552 5.2.2 mailbox full, over quota", status.Deferred, "4.2.2"},
		{dot, "552 5.2.2 The email account that you tried to reach is over quota", status.Refused, "5.2.2"},
		{rcpt, "550 5.7.1 sending rate limit exceeded", status.NotAllowed, "5.7.1"},
	}
	for _, tt := range tests {
		r, err := readString(tt.reply + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		err = r.failure(r.kind(tt.phase), errors.New("refused"))
		if status.KindOf(err) != tt.kind || status.Of(err).String() != tt.code {
			t.Errorf("%q in phase %d: %v %v; want %v %s", tt.reply, tt.phase, status.KindOf(err), status.Of(err), tt.kind, tt.code)
		}
	}
}

// TestLimitWords holds the words by which a reply speaks of a limit, as providers
// write them.
func TestLimitWords(t *testing.T) {
	limited := func(p phase, text string) bool {
		r, err := readString(text + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		return r.limited(p)
	}
	for _, text := range []string{
		"554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
		"550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
		"550 5.7.232 Your message can't be sent because your trial tenant has exceeded its daily limit for sending email to external recipients",
		"550 5.7.233 Your message can't be sent because your tenant has exceeded its daily limit for sending email to external recipients",
		"550 5.7.705 Access denied, tenant has exceeded threshold",
		"550 5.4.5 Daily user sending limit exceeded",
		"550 5.4.5 Daily user sending quota exceeded",
		"550 5.4.5 Daily sending quota exceeded",
		"550 5.4.5 Daily SMTP relay sending limit exceeded for customer",
		"550 5.7.1 Daily SMTP relay sending limit exceeded for customer",
		"550 5.7.1 Daily SMTP relay limit exceeded for customer",
		"550 5.4.6 Unusual sending activity detected. Please try after sometime",
		"550 User a@example.org has exceeded its 24-hour sending limit",
		"550 5.7.1 User a@example.org has exceeded its 24-hour sending limit",
		"550 Domain example.org has exceeded the max emails per hour (200/200 (100%)) allowed",
		"550 Domain example.org has exceeded the max defers and failures per hour (5/5 (100%)) allowed",
	} {
		if !limited(dot, text) {
			t.Errorf("not taken for a limit: %s", text)
		}
		if limited(dot, "559 5.9.9 "+text[4:]) {
			t.Errorf("taken for a limit in spite of its code: %s", text)
		}
	}
	for _, words := range []string{
		"rate limit", "ratelimit", "rate-limit", "message rate", "sending rate", "sender rate",
		"too much mail from", "too many messages from", "too many recipients from", "sent too many", "sending too many",
		"sending limit", "send limit", "sending quota", "sender quota", "messages per hour", "emails per hour", "throttling failure",
	} {
		if text := "450 4.2.1 host: " + strings.ToUpper(words) + " exceeded"; !limited(rcpt, text) {
			t.Errorf("not taken for a limit: %s", text)
		}
	}
	for _, words := range []string{"recipient", "receiving", "mailbox", "user you are trying to reach"} {
		text := "450 4.2.1 message rate too high: " + words
		if limited(rcpt, text) {
			t.Errorf("taken for a limit of the sender's: %s", text)
		}
		for _, sender := range []string{"sender", "sending", "from here", "you have", "you've", "your mail"} {
			if !limited(rcpt, text+" "+sender) {
				t.Errorf("not taken for a limit of the sender's: %s %s", text, sender)
			}
		}
	}
}

// TestOwn holds what a limit means if it is about the message, because the server accepts
// other messages.
func TestOwn(t *testing.T) {
	for _, tt := range []struct {
		phase phase
		reply string
		kind  status.Kind
		code  string
	}{
		{mail, "450 4.7.1 slow down", status.Deferred, "4.7.1"},
		{dot, "421 4.7.0 bye", status.Deferred, "4.7.0"},
		{dot, "554 5.2.0 SubmissionQuotaExceededException", status.Refused, "5.2.0"},
		{rcpt, "550 5.1.90 you've reached your daily limit for message recipients", status.NoUser, "5.1.90"},
		{rcpt, "550 5.1.1 no such user", status.NoUser, "5.1.1"},
	} {
		r, err := readString(tt.reply + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		err = AboutMessage(r.failure(r.kind(tt.phase), &Refusal{"X", r, "mx", tt.phase}))
		if status.KindOf(err) != tt.kind || status.Of(err).String() != tt.code {
			t.Errorf("%q: %v %v; want %v %s", tt.reply, status.KindOf(err), status.Of(err), tt.kind, tt.code)
		}
	}
	if other := errors.New("x"); AboutMessage(other) != other {
		t.Error("another error has become something else")
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 x\n", "250-\r\n550 x\r\n", "\x00", "334 ==\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		shown := 0
		r, err := readReply(bufio.NewReaderSize(bytes.NewReader(in), maxReplyLine), same, func(line string) {
			shown++
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("control character in %q", line)
			}
		})
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || r.Class() != int(r.Status.Class) {
			t.Fatalf("code %d, status %v", r.Code, r.Status)
		}
		if len(r.Lines) != shown || shown > maxReplyLines {
			t.Fatalf("%d lines, %d shown", len(r.Lines), shown)
		}
		if n := len(r.String()); n > maxShown || utf8.ValidString(r.String()) != utf8.ValidString(strings.Join(r.Lines, "")) {
			t.Fatalf("%d octets: %q", n, r)
		}
	})
}

// FuzzLinear holds that the time for a reply, or a list of extensions, grows only with its
// length.
func FuzzLinear(f *testing.F) {
	for _, pattern := range []string{"250-x\r\n", "250-AUTH PLAIN LOGIN\r\n", "250-AUTH=A,B\r\n", "a", "\r", "\r\n", "550-5.1.1 ", "250-SIZE 1\r\n", "é\x00"} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		smtptest.Linear(t, pattern, func(in string) {
			if r, err := readString(in); err == nil {
				_ = r.String()
			}
			s := &Session{offered: parseExtensions(strings.Split(in, "\r\n"))}
			s.mechanisms()
			sizeLimit(s.offered["SIZE"])
		})
	})
}

func TestParseExtensions(t *testing.T) {
	m := parseExtensions([]string{"pipelining", "SIZE 1000", "Auth PLAIN", "AUTH=LOGIN PLAIN", "AUTH=", "auth=cram-md5,XOAUTH2", "", "8BITMIME ", "X-FOO a  b"})
	want := map[string]string{"PIPELINING": "", "SIZE": "1000", "AUTH": "PLAIN LOGIN PLAIN cram-md5,XOAUTH2", "8BITMIME": "", "X-FOO": "a  b"}
	for k, v := range want {
		if got, ok := m[k]; !ok || got != v {
			t.Errorf("%s: %q, %t; want %q", k, got, ok, v)
		}
	}
	if len(m) != len(want) {
		t.Errorf("%v", m)
	}
	s := &Session{offered: m}
	if got := strings.Join(s.mechanisms(), " "); got != "CRAM-MD5 LOGIN PLAIN XOAUTH2" {
		t.Errorf("mechanisms: %q", got)
	}
}

// TestSizeLimit holds that a limit with a unit is understood as the administrator meant it.
func TestSizeLimit(t *testing.T) {
	tests := []struct {
		line string
		want int64
	}{
		{"SIZE", 0},
		{"SIZE 0", 0},
		{"SIZE 35882577", 35882577},
		{"SIZE 0035882577", 35882577},
		{"SIZE 0077", 77},
		{"SIZE=1000", 1000},
		{"size = 1000", 1000},
		{"SIZE 35M", 35 << 20},
		{"SIZE 35 MB", 35 << 20},
		{"SIZE 10240k", 10 << 20},
		{"SIZE 1GiB", 1 << 30},
		{"SIZE 1000 octets", 1000},
		{"SIZE 0x100", 0},
		{"SIZE 1_000", 0},
		{"SIZE 35.5M", 0},
		{"SIZE -1", 0},
		{"SIZE unlimited", 0},
		{"SIZE 9223372036854775807", math.MaxInt64},
		{"SIZE 9223372036854775808", 0},
		{"SIZE 9999999999G", 0},
	}
	for unit, octets := range map[string]int64{"b": 1, "Bytes": 1, "octets": 1, "kb": 1024, "KiB": 1024, "k": 1024,
		"m": 1048576, "mb": 1048576, "MiB": 1048576, "g": 1073741824, "gb": 1073741824, "GiB": 1073741824} {
		tests = append(tests, struct {
			line string
			want int64
		}{"SIZE 3 " + unit, 3 * octets})
	}
	for _, tt := range tests {
		if got := sizeLimit(parseExtensions([]string{tt.line})["SIZE"]); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.line, got, tt.want)
		}
	}
}

// FuzzExtensions checks that nothing a server offers makes a command of more
// than one line, or a panic.
func FuzzExtensions(f *testing.F) {
	f.Add("250-x\r\n250-SIZE 99\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n")
	f.Add("250-x\r\n250-SIZE -1\r\n250 AUTH=\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readString(text)
		if err != nil {
			return
		}
		s := &Session{offered: parseExtensions(r.Lines[1:]), w: bufio.NewWriter(io.Discard)}
		s.mechanisms()
		e := testEnvelope(t)
		if command, err := s.mailCommand(e); err == nil {
			if err := s.writeCommand(command); err != nil {
				t.Fatal(err)
			}
		}
		if command, err := s.rcptCommand(&e.To[0]); err == nil {
			if err := s.writeCommand(command); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestMayBeVerdict holds which limits may be about the message: 4yz replies to the message
// that name no rate.
func TestMayBeVerdict(t *testing.T) {
	for _, tt := range []struct {
		phase phase
		reply string
		want  bool
	}{
		{dot, "451 4.7.1 slow down", true},
		{dot, "421 4.7.1 slow down", false},
		{dot, "554 5.2.0 SubmissionQuotaExceeded", false},
		{dot, "451 4.7.1 sending rate exceeded", false},
		{mail, "451 4.7.1 slow down", false},
		{data, "451 4.7.1 slow down", false},
	} {
		r, err := readString(tt.reply + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := MayBeVerdict(r.failure(r.kind(tt.phase), &Refusal{"X", r, "mx", tt.phase})); got != tt.want {
			t.Errorf("%q in phase %d: %t", tt.reply, tt.phase, got)
		}
	}
	if MayBeVerdict(errors.New("x")) || MayBeVerdict(nil) {
		t.Error("what is no refusal may be a verdict")
	}
}

// TestTooMany holds which replies to RCPT say that a transaction has too many recipients.
func TestTooMany(t *testing.T) {
	for text, want := range map[string]bool{
		"452 too many": true, "452 4.5.3 too many": true, "452 4.5.1 x": false, "452 4.3.3 x": false, "552 5.5.3 too many": true, "451 4.5.3 too many": true, "450 4.2.3 x": false, "250 ok": false,
	} {
		r, err := readString(text + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.tooMany(); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
