package process

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// unmapped is the uid that stands for root here: in a user namespace without the
// root of the system, as a sandbox or an unprivileged container makes one, root's
// files have the overflow uid. It is -1 where root is 0 alone.
var unmapped = sync.OnceValue(func() int {
	uids, _ := os.ReadFile("/proc/self/uid_map")
	overflow, _ := os.ReadFile("/proc/sys/kernel/overflowuid")
	return rootIn(string(uids), string(overflow))
})

// rootIn is unmapped for the texts of the two files (user_namespaces(7)).
func rootIn(uids, overflow string) int {
	for line := range strings.Lines(uids) {
		if words := strings.Fields(line); len(words) != 3 || words[1] == "0" {
			return -1
		}
	}
	uid, err := strconv.Atoi(strings.TrimSpace(overflow))
	if uids == "" || err != nil {
		return -1
	}
	return uid
}
