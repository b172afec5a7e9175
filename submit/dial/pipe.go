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
	ended  chan struct{} // the command is gone, and stderr complete
	stderr tail
}

// pipeTime is how long a command may take to end when its input has.
const pipeTime = time.Second

// run starts the command of server, with which the connection speaks.
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
		ended() // our end stays open: its last reply may not be read yet
		close(p.ended)
	}()
	return p, nil
}

// SyscallConn implements syscall.Conn, so that the kernel can be asked what has
// arrived.
func (p *pipe) SyscallConn() (syscall.RawConn, error) {
	if c, ok := p.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Close ends the command's input, and then, if that does not end it, the
// command.
func (p *pipe) Close() error {
	err := p.Conn.Close()
	timer := time.AfterFunc(pipeTime, p.kill)
	<-p.ended
	timer.Stop()
	p.kill()
	return err
}

// Explain adds to the error of a session over conn, which is closed, what a command
// at the other end said last on stderr.
func Explain(conn net.Conn, err error) error {
	p, ok := conn.(*pipe)
	if !ok {
		return err
	}
	<-p.ended
	if said := p.stderr.last(); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// A tail keeps the last octets that are written to it.
type tail struct{ kept []byte }

const maxTail = 1 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	return status.Printable(strings.TrimSpace(lines[len(lines)-1]))
}
