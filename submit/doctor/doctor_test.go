package doctor

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDoctorInManual: sendoff(1) has the same checks in the same order.
func TestDoctorInManual(t *testing.T) {
	page, err := os.ReadFile("../../man/sendoff.1")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(strings.ReplaceAll(string(page), "\r\n", "\n"), "\n.Sh DOCTOR\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var want, got []string
	for _, c := range checks {
		want = append(want, c.name)
	}
	for _, m := range regexp.MustCompile(`(?m)^\.It Cm (\S+)$`).FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("sendoff(1) has %q, the table %q", got, want)
	}
	var sample []string
	for _, m := range regexp.MustCompile(`(?m)^(?:ok|note|fail|skip) +(\S+) `).FindAllStringSubmatch(section, -1) {
		sample = append(sample, m[1])
	}
	if sample = slices.Compact(sample); !slices.Equal(sample, want) {
		t.Errorf("the sample in sendoff(1) has %q, the table %q", sample, want)
	}
}
