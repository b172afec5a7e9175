//go:build unix

package dial

import (
	"net"
	"os"
	"os/exec"
	"syscall"
)

// attach gives cmd one end of a pair of sockets as standard input and output, and
// returns the other end. The caller calls started after cmd.Start, and ended after
// cmd.Wait.
func attach(cmd *exec.Cmd) (conn net.Conn, started, ended func(), err error) {
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "pipe"), os.NewFile(uintptr(pair[1]), "pipe")
	defer ours.Close()
	conn, err = net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, nil, err
	}
	cmd.Stdin, cmd.Stdout = theirs, theirs
	return conn, func() { theirs.Close() }, func() {}, nil
}
