//go:build !unix

package dial

import (
	"net"
	"os/exec"
)

// attach gives cmd one end of a net.Pipe as standard input and output, and returns the
// other end. The caller calls ended after cmd.Wait.
func attach(cmd *exec.Cmd) (conn net.Conn, started, ended func(), err error) {
	conn, theirs := net.Pipe()
	cmd.Stdin, cmd.Stdout = theirs, theirs
	return conn, func() {}, func() { theirs.Close() }, nil
}
