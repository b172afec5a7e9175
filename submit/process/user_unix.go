//go:build unix

package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RunAs runs this program with the given arguments as another user: with that
// user's groups only, in a session of its own, in the root folder, with an
// empty environment and nothing open but what w gets, its output and its
// errors. It is told to end with ctx, and killed after limit.
func RunAs(ctx context.Context, as User, w io.Writer, limit time.Duration, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	credential := &syscall.Credential{Uid: uint32(as.UID), Gid: uint32(as.GID)}
	if u, err := user.LookupId(strconv.Itoa(as.UID)); err == nil {
		if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			credential.Gid = uint32(n)
		}
		groups, _ := u.GroupIds()
		for _, g := range groups {
			if n, err := strconv.ParseUint(g, 10, 32); err == nil {
				credential.Groups = append(credential.Groups, uint32(n))
			}
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := alone(limited, self, args)
	cmd.Stdout = w
	cmd.SysProcAttr.Credential = credential
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })()
	return cmd.Wait()
}

// RunAsCron runs this program with the given arguments as cron would: in a
// session of its own, and so without a terminal, with no environment but env, in
// the root folder, and with nothing open but pipes for stdin and its output. It
// is killed when ctx ends.
func RunAsCron(ctx context.Context, stdin string, env []string, args ...string) (output string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := alone(ctx, self, args)
	cmd.Stdin, cmd.Env = strings.NewReader(stdin), env
	out, err := cmd.Output()
	return string(out), err
}

// alone returns a command that has nothing of ours, and all of which is killed
// when ctx ends.
func alone(ctx context.Context, program string, args []string) *exec.Cmd {
	closeOnExec()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = "sendoff"
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// IsKnown reports whether passwd(5) has a user of that number.
func IsKnown(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// UserName returns the name of a user, or the number of one who has none.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("%d", uid)
}

// Users returns the numbers of all users that passwd(5) has, and their groups.
func Users() (users [][2]int, err error) {
	text, err := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		words := strings.Split(line, ":")
		if len(words) < 4 || strings.HasPrefix(line, "#") {
			continue
		}
		uid, err1 := strconv.ParseUint(words[2], 10, 31)
		gid, err2 := strconv.ParseUint(words[3], 10, 31)
		if err1 == nil && err2 == nil {
			users = append(users, [2]int{int(uid), int(gid)})
		}
	}
	return users, err
}
