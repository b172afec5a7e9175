// Package process makes this process safe to run, whoever started it, and
// judges what surrounds it.
//
//	descriptors 0 to 2      the Go runtime opens /dev/null where one is closed
//	SIGPIPE, SIGXFSZ        become errors of the write that caused them
//	SIGQUIT                 ends the process as SIGTERM does, without a dump
//	secrets in variables    TakeVariable: nobody inherits them
//	core dumps, ptrace      off: a secret in memory stays there
//	rights of its own       none: set-uid, set-gid or with capabilities it does nothing
//	files of others         judged by Trust before they are believed
//	commands to run         Argv: no shell; OwnGroup: nothing of them is left
//	a process of our own    Start: it has nothing of ours, and outlives us
//	files we make           nobody else can read them, whatever the umask was
//
// Errors: Trust, TrustSecret and Argv return plain sentences; the caller gives
// them their kind.
package process

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
)

// Hardened is what Harden has found and done.
type Hardened struct {
	// Raised says that the process has rights that its caller has not, or would have
	// them by its file: it must do nothing then.
	Raised bool

	// Unsure says that the kernel takes the caller for one who may not steer the process
	// (AT_SECURE), as where SELinux or AppArmor gives it another domain: then what would
	// steer it is no more in the environment.
	Unsure bool

	// Exposed says why others could read our memory, in a core dump or at once.
	Exposed error
}

// SyncFolder makes what came and went in folder survive a crash. Windows has no
// such call and needs none.
func SyncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// RunCommand starts cmd as StartCommand does, and waits for it.
func RunCommand(cmd *exec.Cmd) error {
	if err := StartCommand(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
