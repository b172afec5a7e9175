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

// cpuTime returns the processor time that f takes. It does not depend on how busy the
// machine is.
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

// process calls every function that a message goes through before it is sent.
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

// hostileFields are headers of the message, or of a part, with "%" for a hostile value.
var hostileFields = []string{
	"Subject: %", "From: %", "To: %", "To: a@b\nTo: %", "Cc: \"%", "From: %?= <a@b>", "Reply-To: x <%", "Resent-To: (%", "Message-ID: %", "References: <%", "Received: %", "Keywords: %",
	"List-Unsubscribe: %", "Content-Type: %", "Content-Type: a/b;%", "Content-Type: a/b; x=\"%", "Content-Type: multipart/mixed; boundary=%",
	"Content-Transfer-Encoding: %", "Content-Disposition: a; b=\"é\"%", "Date: %", "X-Text: %", "TLS-Required: %",
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: %", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: a;%",
	"Content-Type: multipart/mixed; boundary=b\n\n%\n--b\nX: %",
}

// hostile returns a message with a field in which pattern is repeated up to n octets.
func hostile(field, pattern string, n int) string {
	return strings.ReplaceAll(field, "%", strings.Repeat(pattern, max(n/len(pattern), 1))) + "\n\né\n"
}

// TestLinear checks that a header of eight times the size takes about eight times the time:
// at most 24 times, where quadratic time would be 64 times. The smaller size is within
// maxStructured, so that all of it is read.
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

// isLinear measures up to five times, until a message of eight times the size takes at most
// bound times as long.
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

// FuzzLinear checks that a header takes less than perOctet for each of its octets. Only
// quadratic time could be more.
func FuzzLinear(f *testing.F) {
	for i := range hostileFields {
		f.Add(byte(i), "(a", ",")
		f.Add(byte(i), "\\", "\"; é=?utf-8?q?x?=")
	}
	f.Fuzz(func(t *testing.T, field byte, pattern, tail string) {
		if pattern == "" || len(pattern) > 1000 || len(tail) > 1000 {
			return
		}
		const size, perOctet = 128 << 10, 20 * time.Microsecond // a slow machine needs 1 µs for an octet
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
