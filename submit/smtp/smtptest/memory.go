package smtptest

import (
	"runtime"
	"testing"
)

// Allocated returns how many objects and octets f allocates: the least of three runs,
// because other goroutines can only add to them.
func Allocated(f func()) (objects, octets uint64) {
	for i := range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		o, b := after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
		if i == 0 {
			objects, octets = o, b
		}
		objects, octets = min(objects, o), min(octets, b)
	}
	return objects, octets
}

// LinearMemory fails t if the work on 2n things allocates for each thing over a tenth more
// objects than the work on n, or over a quarter more octets: a slice or a map that has just
// grown has room for more. prepare returns the work; what prepare allocates does not count.
func LinearMemory(t *testing.T, n int, prepare func(n int) (work func())) {
	t.Helper()
	work := prepare(n)
	work() // what only the first work allocates
	objects, octets := Allocated(work)
	moreObjects, moreOctets := Allocated(prepare(2 * n))
	if moreObjects*10 > 2*objects*11 || moreOctets*4 > 2*octets*5 {
		t.Errorf("%d: %d objects, %d octets; %d: %d objects, %d octets", n, objects, octets, 2*n, moreObjects, moreOctets)
	}
}
