//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
)

// nogroup is the group of a user who has no passwd entry: none of theirs is known.
const nogroup = 65534

// The limits of a process that becomes a user: of memory beside what it has already,
// for Go's own heap below that, and of the seconds of CPU time for a list.
const (
	childMemory = 256 << 20
	childHeap   = 192 << 20
	childCPU    = 20
)

// Become makes this process, which must be root's and alone with itself, that of
// the user uid, with that user's groups only and limits of its own. A list is
// held to its limits for good; else what is run by StartCommand has the ordinary
// ones, and the little environment that cron would give it.
func Become(uid int, list bool) error {
	if os.Geteuid() != 0 || uid <= 0 {
		return fmt.Errorf("only root can become another user, and no more root: uid %d", uid)
	}
	debug.SetMemoryLimit(childHeap)
	if err := limitMemory(list); err != nil {
		return err
	}
	if list {
		limit := syscall.Rlimit{Cur: childCPU, Max: childCPU}
		if err := syscall.Setrlimit(syscall.RLIMIT_CPU, &limit); err != nil {
			return err
		}
	}
	gid, groups := groupsOf(uid)
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(gid)); err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	if err := undumpable(); err != nil { // the user would read, or steer, what root started
		return err
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && !list {
		os.Setenv("HOME", u.HomeDir)
		os.Setenv("LOGNAME", u.Username)
	}
	if !list {
		os.Setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
	}
	if os.Getuid() != uid || os.Geteuid() != uid || os.Getegid() != gid || syscall.Setuid(0) == nil {
		return fmt.Errorf("this process could not become uid %d", uid)
	}
	return nil
}

// groupsOf returns a user's groups. One who has no passwd entry has the group of
// nobody: that of a folder of theirs may be any.
func groupsOf(uid int) (gid int, groups []int) {
	gid, groups = nogroup, []int{}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return gid, groups
	}
	if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
		gid = int(n)
	}
	ids, _ := u.GroupIds()
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, int(n))
		}
	}
	return gid, groups
}

// A ceiling is a limit that this process has set itself, beside the ordinary one.
type ceiling struct {
	sync.Mutex
	resource     int
	ordinary, us syscall.Rlimit
}

// memory is set where StartCommand has to lift it.
var memory *ceiling

// StartCommand starts cmd with the limits that this process was started with. Where
// the limit cannot be lifted, cmd has ours, which is the smaller one; to lower it again
// is always allowed.
func StartCommand(cmd *exec.Cmd) error {
	if memory == nil {
		return cmd.Start()
	}
	memory.Lock()
	defer memory.Unlock()
	syscall.Setrlimit(memory.resource, &memory.ordinary)
	defer syscall.Setrlimit(memory.resource, &memory.us)
	return cmd.Start()
}
