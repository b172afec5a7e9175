package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/submit/smtp/smtptest"
)

// shapes are the lines that begin an account: with a name of its own, and with one that many
// others have.
var shapes = []struct{ name, account string }{
	{"names", "account a%d\n"},
	{"one-name", "account %[1]c\n"},
}

// reading returns the work of reading a file with n accounts.
func reading(t testing.TB, account string, n int) func() {
	text := strings.Builder{}
	for i := range n {
		fmt.Fprintf(&text, account+"host mail%[1]d.example.org\nauth on\nuser u%[1]d\npassword p%[1]d\nbogus%[1]d x\n", 0x4e00+i)
	}
	path := filepath.Join(t.TempDir(), "msmtprc")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		r, err := Reader{}.Read(path, func(string) {})
		if err != nil || len(r.Accounts) != n {
			t.Fatal(err)
		}
	}
}

// TestMemory checks that the memory for a file grows no faster than its accounts.
func TestMemory(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			smtptest.LinearMemory(t, 500, func(n int) func() { return reading(t, shape.account, n) })
		})
	}
}

// BenchmarkRead shows that the time for a file grows no faster than its accounts.
func BenchmarkRead(b *testing.B) {
	for _, shape := range shapes {
		for n := 1000; n <= 8000; n *= 2 {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				read := reading(b, shape.account, n)
				for b.Loop() {
					read()
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/account")
			})
		}
	}
}
