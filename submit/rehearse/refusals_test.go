package rehearse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
)

// TestRefusals: sizes, numbers and lengths have their limits. What a message says is tested
// by the script dry-run-refusals.
func TestRefusals(t *testing.T) {
	bob, err := envelope.Parse("bob@example.com")
	if err != nil {
		t.Fatal(err)
	}
	const head = "To: bob@example.com\r\nMessage-ID: <1@example.org>\r\n\r\n"
	for _, tt := range []struct {
		size       int64
		recipients int
		atOnce     int // max-recipients
		body       string
		want       string // the beginning of the only line; "": none
	}{
		{1, 1, 100, "", ""},
		{25 << 20, 500, 100, strings.Repeat("a", 998), ""},
		{25<<20 + 1<<18, 1, 100, "", "the message has 25.3 MB, and many providers accept 25 MB: "},
		{36 << 20, 1, 100, "", "the message has 36 MB, and Gmail and Microsoft accept 35 MB: "},
		{1, 501, 100, "", "there are 501 recipients, and Gmail accepts 500 a day: "},
		{1, 101, 100, "", ""},
		{1, 101, 200, "", "there are 101 recipients, and Gmail accepts 100 at once: "},
		{1, 1, 100, "\r\n" + strings.Repeat("a", 999) + "\r\n", "a line has 999 octets, and servers accept 998: "},
	} {
		var to submit.Recipient
		to.Address = bob
		m, err := message.Read(strings.NewReader(head), message.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s := &sending{account: &config.Account{MaxRecipients: tt.atOnce}, message: m, size: tt.size, to: slices.Repeat([]submit.Recipient{to}, tt.recipients)}
		fmt.Fprint(&s.lines, head+tt.body)
		got := strings.Join(s.refusals(), "\n")
		if got == "" != (tt.want == "") || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%d octets to %d, %d at once, %.3q: got %q, want %q", tt.size, tt.recipients, tt.atOnce, tt.body, got, tt.want)
		}
	}
}

func TestIsPrivate(t *testing.T) {
	for domain, want := range map[string]bool{
		"": false, "localhost": true, "printer.Local": true, "a.localdomain": true, "host": true,
		"example.org": false, "local.example.org": false, "xlocal": true, "a.co": false, "[192.0.2.1]": false,
	} {
		if isPrivate(domain) != want {
			t.Errorf("%s: %v", domain, !want)
		}
	}
}
