package program

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"sendoff/submit"
	"sendoff/submit/process"
	"sendoff/submit/serve"
	"sendoff/submit/smarthost"
	"sendoff/submit/status"
)

// serve accepts mail by SMTP on stdin and stdout (-bs). Unless a message is being sent or
// queued, a signal ends the process.
func (p *program) serve(ctx context.Context) error {
	s, fault := p.submitter()
	if fault != nil && !p.postpones(fault) {
		return fault
	}
	debug.SetMemoryLimit(memoryLimit)
	p.openQueue(s)
	defer p.wake(s)
	s.Smarthosts.Idle = new(smarthost.Idle)
	defer s.Smarthosts.Idle.Close()
	v := p.service(s, fault)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.endService = func(cause error) {
		stop(cause)
		v.Wait()
	}
	v.Busy = func(busy bool) { p.reading.Store(!busy) }
	p.reading.Store(true)
	defer p.reading.Store(false)
	var conn io.ReadWriter = struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	switch process.SocketOf(os.Stdin) {
	case process.InternetSocket:
		return status.Usage.Errorf("-bs does not accept mail from a network connection; see --listen")
	case process.NamedSocket:
		c, err := net.FileConn(os.Stdin)
		if err != nil {
			return status.Temporary.Wrap(err)
		}
		conn = c
	default:
		v.Pipe, v.Timeout = true, -1 // a mail program may keep the session open for days
	}
	return v.Serve(ctx, conn)
}

// listen accepts mail by SMTP from many clients, on a socket. Where a service manager has started
// it, a fault of the configuration does not end it: mail waits until the fault is mended.
func (p *program) listen(ctx context.Context) error {
	s, fault := p.submitter()
	debug.SetMemoryLimit(listenMemoryLimit)
	s.Sendmail = true // clients cannot repair the account, so the mail is queued
	s.Smarthosts.Patience = time.Minute
	s.Start, s.Outlives = func(string) error { return nil }, nil // the service runs the queue itself
	s.Unwritten.Serves = true
	state := strings.Split(os.Getenv("STATE_DIRECTORY"), ":")[0]
	if filepath.IsAbs(state) && s.Config.Queue == "" {
		s.Config.Queue = filepath.Join(state, "queue")
	}
	p.openQueue(s)
	managed := filepath.IsAbs(state) && s.Queue != nil
	if fault != nil && !managed {
		return fault
	}
	s.Smarthosts.Idle = new(smarthost.Idle)
	defer s.Smarthosts.Idle.Close()
	sockets, err := serve.Sockets(p.cmd.Entry)
	var idle time.Duration
	switch {
	case err == nil && sockets == nil && s.Config.Listen != "":
		sockets, err = serve.Sockets(s.Config.Listen)
	case err == nil && sockets == nil:
		example := "/run/sendoff/submit.sock"
		if runtime.GOOS == "windows" {
			example = "127.0.0.1:2525"
		}
		err = status.Usage.Errorf("--listen: it requires a socket, unless a socket unit starts it: sendoff --listen=%s", example)
	case p.cmd.Entry == "": // the socket unit starts the service again for the next client
		idle = 30 * time.Second
	}
	if err != nil {
		return err
	}
	p.warnReplaceable(sockets)
	if fault != nil {
		p.sayLines("mail stays in the queue until the configuration is corrected: " + fault.Error())
		s.Log.Fault(fault)
	}
	v := p.service(s, fault)
	v.Managed = managed
	return v.Listen(ctx, sockets, idle)
}

// service returns the SMTP service that submits the mail of clients.
func (p *program) service(s *submit.Submitter, fault error) *serve.Service {
	return &serve.Service{Submitter: s, By: p.choice(), Fault: fault, QueueOnly: p.cmd.QueueOnly, NoAliases: p.cmd.NoAliases}
}

// warnReplaceable warns of a socket in whose place another user could put one.
func (p *program) warnReplaceable(sockets []net.Listener) {
	for _, l := range sockets {
		a, ok := l.Addr().(*net.UnixAddr)
		if !ok {
			continue
		}
		if err := process.TrustWay(a.Name); err != nil {
			p.say("warning: other users could replace the socket: " + err.Error())
		}
	}
}
