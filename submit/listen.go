package submit

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// Bounds of what the clients of Listen may do; of their number smtpd has one.
const (
	sessionTime   = time.Hour   // that one may stay
	badCommands   = 3           // that one may give on a TCP port
	wrongPassword = time.Second // that all have to wait
	perUser       = 20          // sessions of one user at once
	maxGuests     = 1000        // recipients of a message
	maxHeader     = 256 << 10   // octets of the header of one, and by which it may grow
)

// Sockets opens the socket at address, or takes those that a socket unit has
// opened if that is empty, which activated reports:
//
//	/PATH, unix:/PATH    a Unix socket that everybody may connect to
//	127.0.0.1:PORT       a loopback port, [::1]:PORT and localhost:PORT likewise
//
// Nothing else is ever served.
func Sockets(address string) (sockets []net.Listener, activated bool, err error) {
	if address == "" {
		sockets, err = process.Activated()
		for _, l := range sockets {
			if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
				return nil, true, status.Usage.Errorf("--listen: %s is no loopback address", a)
			}
		}
		if err == nil && len(sockets) == 0 {
			err = errors.New("no socket unit has started this; name a socket, as in --listen=/run/sendoff/submit.sock")
		}
		return sockets, true, wrapUsage(err)
	}
	path := strings.TrimPrefix(address, "unix:")
	if strings.HasPrefix(path, "/") {
		l, err := listenUnix(path)
		return []net.Listener{l}, false, wrapUsage(err)
	}
	host, port, err := net.SplitHostPort(address)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, perr := netip.ParseAddr(host); err != nil || perr != nil || !ip.IsLoopback() {
		return nil, false, status.Usage.Errorf("--listen: %q is neither a path nor a port of this machine, as in 127.0.0.1:2525", address)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	return []net.Listener{l}, false, wrapUsage(err)
}

func wrapUsage(err error) error {
	if err == nil {
		return nil
	}
	return status.Usage.Errorf("--listen: %w", err)
}

// listenUnix opens a Unix socket for everybody, in place of one that nobody
// listens on any more.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return nil, fmt.Errorf("somebody listens on %s already", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(path)
		}
	}
	return process.ListenUnix(path)
}

// Listen serves clients on sockets until ctx ends, or, with an idle time, until
// there has been no client for so long and nothing waits. It runs the queue,
// too. An error says why it cannot go on.
func (v *Service) Listen(ctx context.Context, sockets []net.Listener, idle time.Duration) error {
	for _, a := range v.Submitter.Config.Accounts {
		if err := refuseOwn(a, sockets); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := *v.Submitter
	s.Kept, s.own = new(Kept), sockets
	s.memory = new(memory) // shared by those that submit and the one that runs the queue
	defer s.Kept.Close()
	defer v.Wait()
	door := &door{last: time.Now()}
	var all sync.WaitGroup
	failures := make([]error, len(sockets))
	for i, l := range sockets {
		d := v.listener(ctx, &s)
		all.Go(func() {
			failures[i] = d.ServeListener(ctx, &counter{l, door})
			cancel(nil)
		})
	}
	if s.Queue != nil {
		runner := s // it uses the sessions that are kept, or it would never get a slot
		all.Go(func() { runner.tend(ctx) })
	}
	if idle > 0 {
		all.Go(func() {
			v.Submitter.waitIdle(ctx, door, idle)
			cancel(nil)
		})
	}
	all.Wait()
	return status.Temporary.Wrap(errors.Join(failures...))
}

// listener is the server for the clients of one socket.
func (v *Service) listener(ctx context.Context, s *Submitter) *smtpd.Server {
	return &smtpd.Server{
		Hostname: s.hostname(), AllowUnqualified: true, Lifetime: sessionTime,
		MaxSize: int64(s.Config.QueueLimit), MaxRecipients: maxGuests,
		Greet: func(conn net.Conn, d *smtpd.Server) error {
			guest := conn.(*guest)
			peer, err := v.admit(guest.Conn)
			if err != nil {
				return err
			}
			if peer != (process.Peer{}) && !guest.isOneOf(peer.UID) {
				return status.Temporary.Errorf("uid %d has %d sessions already", peer.UID, perUser)
			}
			if _, ok := conn.LocalAddr().(*net.TCPAddr); ok {
				d.RequireAuth, d.MaxErrors = true, badCommands
				d.Auth = func(user, password string) error { return v.login(ctx, user, password) }
			}
			d.Handle = func(ctx context.Context, c smtpd.Client, e *envelope.Envelope, content io.Reader) error {
				mine, fault := v.renewed(s)
				m, err := message.Read(content, message.Options{MaxHeader: maxHeader})
				if err != nil {
					return err
				}
				r := &Request{Peer: peer, Login: c.User, Message: m}
				m.Prepend("Received", mine.received(r, c))
				now := &Service{By: v.By, Fault: fault, NoAliases: v.NoAliases, QueueOnly: v.QueueOnly}
				return v.reply(r, func() error { return now.handle(ctx, mine, e, r) })
			}
			return nil
		},
	}
}

// renewed returns s with the configuration as it is now.
func (v *Service) renewed(s *Submitter) (*Submitter, error) {
	mine := *s
	c, err := s.load(v.By.CommandLine)
	if err == nil {
		mine.Config, mine.Log = c, s.Log.like(c)
	}
	return &mine, err
}

// admit reports who has connected, and an error if that user may not submit.
func (v *Service) admit(conn net.Conn) (process.Peer, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return process.Peer{}, nil
	}
	s, err := v.renewed(v.Submitter)
	if err != nil {
		s = v.Submitter // as it was at first: mail waits until it is mended
	}
	allowed := s.Config.ListenUsers
	peer, err := process.PeerOf(unix)
	if len(allowed) == 0 {
		return peer, nil
	}
	if err != nil {
		return peer, status.NotAllowed.Errorf("who you are cannot be known: %w", err)
	}
	if !slices.Contains(allowed, strconv.Itoa(peer.UID)) && !slices.Contains(allowed, process.UserName(peer.UID)) {
		return peer, status.NotAllowed.Errorf("uid %d is not among listen-users", peer.UID)
	}
	return peer, nil
}

// login checks a login on a TCP port, where any program of this machine may
// connect: user and password are those of an account.
func (v *Service) login(ctx context.Context, user, password string) error {
	s, err := v.renewed(v.Submitter)
	if err != nil {
		return err
	}
	for _, a := range s.Config.Accounts {
		refs, item, err := Item(a)
		if err != nil || a.User != user {
			continue
		}
		secret, err := s.Store.Get(ctx, refs, item)
		if err != nil || secret.IsZero() {
			continue
		}
		want, got := sha256.Sum256([]byte(secret.Reveal())), sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			return nil
		}
	}
	s.logFault(fmt.Errorf("a wrong login as %s", status.Printable(user)))
	v.guessing.Lock() // so that many connections guess no faster than one
	defer v.guessing.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(wrongPassword):
	}
	return errors.New("no account has that user and password")
}

// refuseOwn returns an error if mail for a would come back to us.
func refuseOwn(a *config.Account, sockets []net.Listener) error {
	for _, server := range a.Servers {
		for _, l := range sockets {
			own := server.Path != "" && sameFile(server.Path, l.Addr().String())
			if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.Port == server.Port {
				ip, err := netip.ParseAddr(server.Host)
				own = server.Host == "localhost" || err == nil && ip.IsLoopback()
			}
			if own {
				return status.Config.Errorf("account %s: its server, %s, is the socket that is served here", a.Name, server)
			}
		}
	}
	return nil
}

// sameFile reports whether two paths lead to one file, if by different ways.
func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return a == b || err1 == nil && err2 == nil && os.SameFile(one, other)
}

// received is the value of the trace field of a message that somebody else hands
// on (RFC 5321 section 4.4): without it a loop through us would have no end. It
// has no word of the client's.
func (s *Submitter) received(r *Request, c smtpd.Client) string {
	with, from := "SMTP", ""
	if c.Extended {
		with = "ESMTP"
	}
	if c.User != "" {
		with = "ESMTPA" // RFC 3848
	}
	if r.Peer != (process.Peer{}) {
		from = fmt.Sprintf(", from userid %d", r.Peer.UID)
	}
	return fmt.Sprintf("by %s (sendoff%s) with %s id %s; %s", s.hostname(), from, with, r.logID(), time.Now().Format(time.RFC1123Z))
}

// tend is the runner of the queue until ctx ends, whether anything is in it or
// not.
func (s *Submitter) tend(ctx context.Context) {
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	release, err := s.Queue.Lock(runnerLock)
	for ; err != nil && ctx.Err() == nil; release, err = s.Queue.Lock(runnerLock) {
		pause() // somebody else's runner has to end
	}
	if err != nil {
		return
	}
	defer release()
	for ctx.Err() == nil {
		seen, _ := s.Queue.Changed()
		if err := s.runUntilEmpty(ctx); err != nil {
			s.logFault(err)
		}
		for now := seen; now == seen && ctx.Err() == nil; now, _ = s.Queue.Changed() {
			pause()
		}
	}
}

// waitIdle returns when there has been nobody at the door for so long, and the
// queue is empty.
func (s *Submitter) waitIdle(ctx context.Context, d *door, idle time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(idle, time.Second)):
		}
		if !d.idle(idle) {
			continue
		}
		if s.Queue == nil || !waiting(s.Queue) {
			return
		}
	}
}

// A door counts the clients that are in.
type door struct {
	mu    sync.Mutex
	open  int
	users map[int]int // how many of them are one user's
	last  time.Time   // when one came or went
}

// enter counts a guest as a user's, or takes that back; false if there are too
// many.
func (d *door) enter(uid, by int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by > 0 && d.users[uid] == perUser {
		return false
	}
	if d.users == nil {
		d.users = make(map[int]int)
	}
	if d.users[uid] += by; d.users[uid] == 0 {
		delete(d.users, uid)
	}
	return true
}

func (d *door) move(by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open += by
	d.last = time.Now()
}

func (d *door) idle(so time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open == 0 && time.Since(d.last) >= so
}

// A counter counts the connections of a listener.
type counter struct {
	net.Listener
	*door
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.move(1)
	return &guest{Conn: conn, door: c.door}, nil
}

// A guest is a connection that is counted until it is closed.
type guest struct {
	net.Conn
	door *door
	once sync.Once
	uid  *int // whose it is counted as
}

// isOneOf counts the guest among those of a user.
func (g *guest) isOneOf(uid int) bool {
	if !g.door.enter(uid, 1) {
		return false
	}
	g.uid = &uid
	return true
}

func (g *guest) Close() error {
	g.once.Do(func() {
		g.door.move(-1)
		if g.uid != nil {
			g.door.enter(*g.uid, -1)
		}
	})
	return g.Conn.Close()
}
