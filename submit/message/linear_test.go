//go:build unix

package message

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"sendoff/submit/envelope"
)

// cpuTime is how much processor time f takes, however busy the machine is.
func cpuTime(f func()) time.Duration {
	start := used()
	f()
	return used() - start
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// process does to a message all that is done to one on its way.
func process(in string) {
	m, err := Read(strings.NewReader(in), Options{})
	if err != nil {
		return
	}
	defer m.Close()
	m.Recipients()
	m.From()
	m.TLSOptional()
	author, _ := envelope.Parse("ann@example.org")
	m.Tidy(author)
	m.RewriteAddresses(func(_ string, b Mailbox) (Mailbox, string) { return Mailbox{Address: author}, "" })
	m.Complete(Defaults{From: Mailbox{Address: author}})
	m.EncodeHeader()
	m.Survey()
	m.MessageID()
	for _, f := range []envelope.Form{{}, everything} {
		if r, _, err := m.Open(f); err == nil {
			io.Copy(io.Discard, r)
		}
	}
}

// hostileFields are the headers that a value stands in: of the message, or of a part.
var hostileFields = []string{
	"Subject: %", "From: %", "To: %", "To: a@b\nTo: %", "Cc: \"%", "From: %?= <a@b>", "Reply-To: x <%", "Resent-To: (%", "Message-ID: %", "References: <%", "Received: %", "Keywords: %",
	"List-Unsubscribe: %", "Content-Type: %", "Content-Type: a/b;%", "Content-Type: a/b; x=\"%", "Content-Type: multipart/mixed; boundary=%",
	"Content-Transfer-Encoding: %", "Content-Disposition: a; b=\"é\"%", "Date: %", "X-Text: %", "TLS-Required: %",
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: %", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: a;%",
	"Content-Type: multipart/mixed; boundary=b\n\n%\n--b\nX: %",
}

// hostile returns a message with pattern in a field again and again, in all n octets.
func hostile(field, pattern string, n int) string {
	return strings.ReplaceAll(field, "%", strings.Repeat(pattern, max(n/len(pattern), 1))) + "\n\né\n"
}

// TestLinear holds that eight times the header takes no more than about eight
// times the time: three times that is allowed for, where squares would be 64.
// The smaller size has all of it within what is read of a structured field.
func TestLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, field := range hostileFields {
		for _, c := range []string{"(", "[", "<", "\"", ",", ";", "\\", "=", "?", ":", "@", "=?", "=?a?q?x"} {
			for _, pattern := range []string{c, c + "é "} {
				isLinear(t, field, pattern, 1000)
				isLinear(t, field, pattern, 8<<10)
			}
		}
	}
}

// isLinear measures until it has seen once that a message of eight times the
// size takes at most bound times as long.
func isLinear(t *testing.T, field, pattern string, size int) {
	const eightfold, bound = 8, 24
	small, large := hostile(field, pattern, size), hostile(field, pattern, eightfold*size)
	ratio := 0.0
	for range 5 {
		rounds, before := 0, time.Duration(0)
		for before < 200*time.Microsecond {
			rounds++
			before += cpuTime(func() { process(small) })
		}
		after := cpuTime(func() {
			for range rounds {
				process(large)
			}
		})
		if ratio = float64(after) / float64(before); ratio <= bound {
			return
		}
	}
	t.Fatalf("%q of %q: %d times %d octets take %.0f times as long", field, pattern, eightfold, size, ratio)
}

// FuzzLinear holds that no octet of a header takes more than a time that only
// squares of its size can take.
func FuzzLinear(f *testing.F) {
	for i := range hostileFields {
		f.Add(byte(i), "(a", ",")
		f.Add(byte(i), "\\", "\"; é=?utf-8?q?x?=")
	}
	f.Fuzz(func(t *testing.T, field byte, pattern, tail string) {
		if pattern == "" || len(pattern) > 1000 || len(tail) > 1000 {
			return
		}
		const size, perOctet = 128 << 10, 20 * time.Microsecond // a slow machine takes one for it
		in := hostile(hostileFields[int(field)%len(hostileFields)], pattern, size)
		in = strings.Replace(in, "\n\né\n", tail+"\n\né\n", 1)
		took := time.Duration(0)
		for range 3 {
			if took = cpuTime(func() { process(in) }); took < time.Duration(len(in))*perOctet {
				return
			}
		}
		t.Errorf("%d octets of %q in %q take %v", len(in), pattern, hostileFields[int(field)%len(hostileFields)], took)
	})
}
