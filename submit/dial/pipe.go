package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"sendoff/config"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// A pipe is a connection to a command that speaks SMTP on its standard input
// and output.
type pipe struct {
	net.Conn
	name   string
	kill   context.CancelFunc
	ended  chan struct{} // closed when the command has ended and stderr is complete
	stderr tail
}

// pipeTime is how long a command may take to end after its input is closed.
const pipeTime = time.Second

// run starts the command of server, and returns a connection to it.
func (d *Dialer) run(server config.Server) (net.Conn, error) {
	p := &pipe{name: server.Name(), ended: make(chan struct{})}
	argv, err := process.Argv(server.Command, d.Home)
	if err != nil {
		return nil, status.Config.Errorf("pipe: %w", err)
	}
	ctx, kill := context.WithCancel(context.Background())
	cmd := process.Command(ctx, argv, d.Interactive)
	cmd.Stderr = &p.stderr
	conn, started, ended, err := attach(cmd)
	if err == nil {
		err = process.StartCommand(cmd)
		started()
	}
	if err != nil {
		kill()
		return nil, status.Connection.Errorf("pipe: %s: %w", p.name, err)
	}
	p.Conn, p.kill = conn, kill
	go func() {
		cmd.Wait()
		ended() // our end stays open, because the command's last reply may still be unread
		close(p.ended)
	}()
	return p, nil
}

// SyscallConn implements syscall.Conn, with which package smtp asks the kernel whether
// the command has sent something.
func (p *pipe) SyscallConn() (syscall.RawConn, error) {
	if c, ok := p.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Close closes the command's input, and kills the command if it does not end within
// pipeTime.
func (p *pipe) Close() error {
	err := p.Conn.Close()
	timer := time.AfterFunc(pipeTime, p.kill)
	<-p.ended
	timer.Stop()
	p.kill()
	return err
}

// Explain returns err with the last line of the command's stderr if conn, which must be
// closed, is a connection to a command; otherwise it returns err as it is.
func Explain(conn net.Conn, err error) error {
	p, ok := conn.(*pipe)
	if !ok {
		return err
	}
	<-p.ended
	if line := p.stderr.last(); line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

// A tail keeps the last maxTail octets that are written to it.
type tail struct{ octets []byte }

const maxTail = 1 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.octets = append(t.octets, b...)
	if excess := len(t.octets) - maxTail; excess > 0 {
		t.octets = append(t.octets[:0], t.octets[excess:]...)
	}
	return len(b), nil
}

// last returns the last line, fit for a terminal.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.octets)), "\n")
	return status.Printable(strings.TrimSpace(lines[len(lines)-1]))
}
