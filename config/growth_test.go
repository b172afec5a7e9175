package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLoad shows that the time for a file grows no faster than its accounts.
func BenchmarkLoad(b *testing.B) {
	for n := 1000; n <= 8000; n *= 2 {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "[accounts.a%d]\nserver = \"smtps://mail%d.example.org\"\nuser = \"u%d\"\nsecret = \"keyring\"\nfrom = \"u%d@example.org\"\n", i, i, i, i)
			}
			path := write(b, filepath.Join(b.TempDir(), "many.toml"), text.String())
			for b.Loop() {
				c, err := Load(Paths{Explicit: path})
				if err != nil || len(c.Accounts) != n {
					b.Fatal(len(c.Accounts), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/account")
		})
	}
}
