package smtptest

import (
	"strings"
	"testing"
	"time"
)

// perOctet is the processor time that no octet of an input may take on the average, and that only
// squares of the input's size can. A slow machine takes a twentieth of it.
const perOctet = 20 * time.Microsecond

// Linear fails t if work with a pattern, repeated until the input has 128 KiB,
// takes more time than its octets may.
func Linear(t *testing.T, pattern string, work func(in string)) {
	t.Helper()
	if pattern == "" || len(pattern) > 1000 {
		return
	}
	const size = 128 << 10
	in := strings.Repeat(pattern, size/len(pattern))
	took := time.Duration(0)
	for range 3 {
		begun := processorTime()
		work(in)
		if took = processorTime() - begun; took < time.Duration(len(in))*perOctet {
			return
		}
	}
	t.Errorf("%d octets of %q take %v", len(in), pattern, took)
}
