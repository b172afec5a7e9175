package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead shows that the time for a file grows no faster than its accounts, whether or
// not each has a name of its own.
func BenchmarkRead(b *testing.B) {
	for _, shape := range []struct{ name, account string }{
		{"names", "account a%d\n"},
		{"one-name", "account %[1]c\n"},
	} {
		for n := 1000; n <= 8000; n *= 2 {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				text := strings.Builder{}
				for i := range n {
					fmt.Fprintf(&text, shape.account+"host mail%[1]d.example.org\nauth on\nuser u%[1]d\npassword p%[1]d\nbogus%[1]d x\n", 0x4e00+i)
				}
				path := filepath.Join(b.TempDir(), "msmtprc")
				if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					r, err := Reader{}.Read(path, func(string) {})
					if err != nil || len(r.Accounts) != n {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/account")
			})
		}
	}
}
