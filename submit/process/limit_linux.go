package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// limitMemory lets this process have childMemory more than it has; for good, or
// but for the commands that it runs. Where it cannot be known how much it has,
// there is only Go's own limit; an error says that there could have been another.
func limitMemory(good bool) error {
	text, err := os.ReadFile("/proc/self/statm")
	pages, _, _ := strings.Cut(string(text), " ")
	n, errNumber := strconv.ParseUint(pages, 10, 40)
	var limit syscall.Rlimit
	if err != nil || errNumber != nil || syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil {
		return nil
	}
	us := limit
	us.Cur = min(limit.Cur, n*uint64(os.Getpagesize())+childMemory)
	if good {
		us.Max = us.Cur
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &us); err != nil {
		return err
	}
	if !good {
		memory = &ceiling{resource: syscall.RLIMIT_AS, ordinary: limit, us: us}
	}
	return nil
}
