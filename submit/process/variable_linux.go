package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// wipe overwrites a variable in the block that the kernel has put into this process
// and shows as /proc/PID/environ. The runtime has a copy of its own. Where the
// kernel does not let a process do that to itself, the block stays as it is.
func wipe(name string) {
	begin, end := environBlock()
	if begin == 0 || end <= begin {
		return
	}
	block := make([]byte, end-begin)
	move := func(do func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), at uintptr, b []byte) bool {
		local := unix.Iovec{Base: &b[0]}
		local.SetLen(len(b))
		n, err := do(os.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{{Base: at, Len: len(b)}}, 0)
		return err == nil && n == len(b)
	}
	if !move(unix.ProcessVMReadv, begin, block) {
		return
	}
	for at := 0; at < len(block); {
		n := bytes.IndexByte(block[at:], 0)
		if n < 0 {
			n = len(block) - at
		}
		if bytes.HasPrefix(block[at:at+n], []byte(name+"=")) {
			move(unix.ProcessVMWritev, begin+uintptr(at), make([]byte, n))
		}
		at += n + 1
	}
}

// environBlock returns where the block begins and ends (proc_pid_stat(5), fields 50
// and 51); zero if that cannot be known.
func environBlock() (begin, end uintptr) {
	stat, err := os.ReadFile("/proc/self/stat")
	_, rest, found := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest) // from the third
	if err != nil || !found || len(fields) < 49 {
		return 0, 0
	}
	a, err1 := strconv.ParseUint(fields[47], 10, 64)
	b, err2 := strconv.ParseUint(fields[48], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return uintptr(a), uintptr(b)
}
