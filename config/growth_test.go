package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/submit/smtp/smtptest"
)

// loading returns the work of loading a file with n accounts.
func loading(t testing.TB, n int) func() {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[accounts.a%d]\nserver = \"smtps://mail%d.example.org\"\nuser = \"u%d\"\nsecret = \"keyring\"\nfrom = \"u%d@example.org\"\n", i, i, i, i)
	}
	path := write(t, filepath.Join(t.TempDir(), "many.toml"), text.String())
	return func() {
		c, err := Load(Paths{Explicit: path})
		if err != nil || len(c.Accounts) != n {
			t.Fatal(len(c.Accounts), err)
		}
	}
}

// TestMemory checks that the memory for a file grows no faster than its accounts.
func TestMemory(t *testing.T) {
	smtptest.LinearMemory(t, 500, func(n int) func() { return loading(t, n) })
}

// BenchmarkLoad shows that the time for a file grows no faster than its accounts.
func BenchmarkLoad(b *testing.B) {
	for n := 1000; n <= 8000; n *= 2 {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			load := loading(b, n)
			for b.Loop() {
				load()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/account")
		})
	}
}
