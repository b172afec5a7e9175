package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// limitMemory lets this process have childMemory more than it has; for good, or
// but for the commands that it runs. Where it cannot be known how much it has,
// there is only Go's own limit.
func limitMemory(good bool) {
	text, err := os.ReadFile("/proc/self/statm")
	pages, _, _ := strings.Cut(string(text), " ")
	n, errNumber := strconv.ParseUint(pages, 10, 40)
	var limit syscall.Rlimit
	if err != nil || errNumber != nil || syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil {
		return
	}
	us := limit
	us.Cur = min(limit.Cur, n*uint64(os.Getpagesize())+childMemory)
	if good {
		us.Max = us.Cur
	}
	if syscall.Setrlimit(syscall.RLIMIT_AS, &us) == nil && !good {
		memory = &ceiling{resource: syscall.RLIMIT_AS, ordinary: limit, us: us}
	}
}
