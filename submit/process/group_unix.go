//go:build unix

package process

import (
	"os/exec"
	"syscall"
)

// OwnGroup makes cmd the leader of a process group, all of which is killed when
// its time is over: a shell's children are no fewer than the shell.
func OwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
