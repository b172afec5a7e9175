//go:build e2e && linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// swap puts a folder, a FIFO and nothing in turn at a path, again and again.
func swap(args []string) error {
	path, other := args[0], args[0]+"-other"
	os.Mkdir(path, 0o700)
	if err := unix.Mkfifo(other, 0o600); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		os.Rename(path, path+"-away")
		os.Rename(path+"-away", path)
	}
	return nil
}

// hang mounts a file system of a user's (FUSE) on a file. It takes all questions and
// never answers, so that not even SIGKILL ends a process that has asked one.
func hang(args []string) error {
	device, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	options := fmt.Sprintf("fd=%d,rootmode=100600,user_id=60001,group_id=60001", device)
	if err := unix.Mount("hang", args[0], "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return err
	}
	in := make([]byte, 256<<10)
	if _, err := unix.Read(device, in); err != nil {
		return err
	}
	out := make([]byte, 16+64) // fuse_out_header, fuse_init_out
	copy(out[8:16], in[8:16])
	binary.NativeEndian.PutUint32(out, uint32(len(out)))
	copy(out[16:24], in[40:48]) // the version
	binary.NativeEndian.PutUint32(out[16+20:], 4096)
	if _, err := unix.Write(device, out); err != nil {
		return err
	}
	fmt.Println("mounted")
	for {
		if _, err := unix.Read(device, in); err != nil {
			return err
		}
	}
}

// noKeys runs a command where keyctl(2) is forbidden, as containers often have it.
func noKeys(args []string) error {
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load},
		{Code: equal, K: unix.SYS_KEYCTL, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, args, os.Environ())
}
