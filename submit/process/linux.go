//go:build linux

package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasCapabilities reports whether the file at path gives capabilities to whoever runs it
// (setcap(8)). Ambient capabilities, which a process inherits from a service, do not count.
func hasCapabilities(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return n > 0 || err == unix.ERANGE
}

// seLinuxMode is the file that has the mode of SELinux, where that is on.
var seLinuxMode = "/sys/fs/selinux/enforce"

// SELinux returns the mode of SELinux, "enforcing" or "permissive"; "" where it is off.
func SELinux() string {
	text, err := os.ReadFile(seLinuxMode)
	switch {
	case err != nil:
		return ""
	case strings.TrimSpace(string(text)) == "1":
		return "enforcing"
	}
	return "permissive"
}

// Label returns the type in the label that SELinux sees at path; "" if there is none.
func Label(path string) string {
	text := make([]byte, 256)
	n, err := unix.Getxattr(path, "security.selinux", text)
	fields := strings.Split(strings.TrimRight(string(text[:max(n, 0)]), "\x00"), ":")
	if err != nil || len(fields) < 3 {
		return ""
	}
	return fields[2]
}

// secureExec reports whether the kernel sets AT_SECURE for this process (getauxval(3)).
func secureExec() bool {
	const secure = 23
	vector, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, entry := range vector {
		if entry[0] == secure {
			return entry[1] != 0
		}
	}
	return false
}

// undumpable keeps other processes of the user from reading our memory. The error is that
// of prctl(2), which a filter of system calls (seccomp) may forbid.
var undumpable = func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// newKeyring gives this thread, and the processes that it starts, an empty session
// keyring. It returns nil if the kernel has no keyrings: there is no key to hide.
func newKeyring() error {
	// KeyctlJoinSessionKeyring cannot be used: it cannot ask for a keyring without a name.
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err == nil || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("their processes cannot be kept from root's session keyring: keyctl: %w", err)
}

// limitMemory limits the address space of this process to childMemory more than it has
// now. With forGood the limit also holds for the programs that we start; without it they
// get the earlier limit (liftLimit). If the system does not say how much memory this
// process has, there is only the limit of the Go runtime, and the error is nil. An error
// says that the system refused the limit.
func limitMemory(forGood bool) error {
	text, err := os.ReadFile("/proc/self/statm")
	pages, _, _ := strings.Cut(string(text), " ")
	n, errNumber := strconv.ParseUint(pages, 10, 40)
	var limit syscall.Rlimit
	if err != nil || errNumber != nil || syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil {
		return nil
	}
	lowered := limit
	lowered.Cur = min(limit.Cur, n*uint64(os.Getpagesize())+childMemory)
	if forGood {
		lowered.Max = lowered.Cur
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &lowered); err != nil {
		return err
	}
	if !forGood {
		memory = &addressLimit{ordinary: limit, lowered: lowered}
	}
	return nil
}

// An addressLimit has the limit of the address space that this process was started with
// (ordinary), and the lower limit that it has set itself since (lowered).
type addressLimit struct {
	sync.Mutex
	ordinary, lowered syscall.Rlimit
}

// memory has the limit that liftLimit lifts; nil: there is none.
var memory *addressLimit

// liftLimit sets the limit that this process was started with; lower sets the lower limit
// again, which is always allowed. If the system refuses to lift the limit, the lower limit
// stays.
func liftLimit() (lower func()) {
	if memory == nil {
		return func() {}
	}
	memory.Lock()
	syscall.Setrlimit(syscall.RLIMIT_AS, &memory.ordinary)
	return func() {
		syscall.Setrlimit(syscall.RLIMIT_AS, &memory.lowered)
		memory.Unlock()
	}
}

func peerOf(fd int) (Peer, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(c.Uid), PID: int(c.Pid)}, nil
}

// wipe overwrites the variable name in the memory that the kernel shows as
// /proc/PID/environ. (The Go runtime has a copy of its own.) If the kernel does not let
// this process write its own memory, the variable stays there.
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

// environBlock returns the addresses at which the environment begins and ends
// (proc_pid_stat(5), fields 50 and 51); zeros if the kernel does not say.
func environBlock() (begin, end uintptr) {
	stat, err := os.ReadFile("/proc/self/stat")
	_, rest, found := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest) // fields[0] is field 3, the state
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

// aclOf reports whether the open file f has an access control list that names more than
// its owner and its group. With a list, the group's bits of the mode are not the rights of
// the group, but the most that anybody in the list may do.
func aclOf(f *os.File) bool {
	return hasACL(func(name string, to []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), name, to) })
}

func aclAt(path string) bool {
	return hasACL(func(name string, to []byte) (int, error) { return unix.Lgetxattr(path, name, to) })
}

// hasACL asks for each kind of list. The kernel keeps a POSIX list only if it says more
// than the mode. On NFS there always is a list, so hasACL reads that list.
func hasACL(get func(name string, to []byte) (int, error)) bool {
	for _, name := range []string{"system.posix_acl_access", "system.richacl"} {
		if n, err := get(name, nil); n > 0 || err == unix.ERANGE {
			return true
		}
	}
	const nfs4 = "system.nfs4_acl"
	size, err := get(nfs4, nil)
	if size <= 0 {
		return err == unix.ERANGE
	}
	list := make([]byte, size)
	n, err := get(nfs4, list)
	return err == unix.ERANGE || n > 0 && namesMore(list[:n])
}

// namesMore reports whether a list of NFS (RFC 7530, section 6) gives a right to somebody
// other than the owner, the group and everybody: these three are in the mode as well. A
// list that breaks off counts as true.
func namesMore(list []byte) bool {
	word := func() uint32 {
		if len(list) < 4 {
			list = nil
			return 0
		}
		n := binary.BigEndian.Uint32(list)
		list = list[4:]
		return n
	}
	for range word() {
		kind, _, _, length := word(), word(), word(), word()
		padded := (int64(length) + 3) &^ 3
		if int64(len(list)) < padded {
			return true
		}
		who := string(list[:length])
		list = list[padded:]
		if kind == 0 && who != "OWNER@" && who != "GROUP@" && who != "EVERYONE@" {
			return true
		}
	}
	return false
}

// readOnly reports whether folder is on a read-only mount, so that nobody can write in it.
func readOnly(folder string) bool {
	var st unix.Statfs_t
	return unix.Statfs(folder, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// IsMountPoint reports whether something is mounted at path itself. Containers mount
// single files: such a file can be written, but not replaced. The result is false if the
// kernel does not say, as before Linux 5.8 and on other systems.
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
