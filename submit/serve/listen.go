package serve

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
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
	"sendoff/submit/message"
	"sendoff/submit/process"
	"sendoff/submit/rewrite"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
	"sendoff/submit/throttle"
)

// Limits for the clients of Listen. Package smtpd also limits the number of clients.
const (
	sessionTime         = time.Hour        // the longest session
	loginTime           = 10 * time.Second // the time to log in, on a TCP port
	maxLoggingIn        = 10               // sessions at once without a login, on TCP ports
	maxLoggingInPerUser = 3                // the same, of one user
	badCommands         = 3                // refused commands in a session, on a TCP port
	wrongPassword       = time.Second      // the delay of the reply to a wrong password
	perUser             = 20               // sessions of one user at once
	maxRecipients       = 1000             // recipients of a message
	maxHeader           = 256 << 10        // octets of a message's header, and as many again after our changes
)

// Sockets opens the socket at address. If address is empty, it takes the sockets that a
// systemd socket unit has opened; nil: there are none.
//
//	/PATH, unix:/PATH                  a Unix socket that everybody may connect to
//	127.0.0.1:PORT, [::1]:PORT,        a TCP port of the loopback interface
//	localhost:PORT
//
// All other addresses are an error.
func Sockets(address string) (sockets []net.Listener, err error) {
	if address == "" {
		sockets, err = activated()
	} else {
		sockets = make([]net.Listener, 1)
		sockets[0], err = open(address)
	}
	if err != nil {
		return nil, status.Usage.Errorf("--listen: %w", err)
	}
	return sockets, nil
}

// activated returns the sockets of a systemd socket unit.
func activated() ([]net.Listener, error) {
	sockets, err := process.Activated()
	for _, l := range sockets {
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			return nil, fmt.Errorf("%s is not a loopback address", a)
		}
	}
	return sockets, err
}

func open(address string) (net.Listener, error) {
	wrong := "is neither a path nor a port of this machine"
	if runtime.GOOS == "windows" { // which does not say who has connected to a socket
		wrong = "is not a port of this machine"
	} else if path := strings.TrimPrefix(address, "unix:"); strings.HasPrefix(path, "/") {
		return listenUnix(path)
	}
	host, port, err := net.SplitHostPort(address)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, noIP := netip.ParseAddr(host); err != nil || noIP != nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%q %s, as in 127.0.0.1:2525", address, wrong)
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// listenUnix opens a Unix socket that everybody may connect to. It replaces a socket at
// path on which no process listens any more.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return nil, fmt.Errorf("another program already listens on %s", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(path)
		}
	}
	return process.ListenUnix(path)
}

// Listen serves clients on sockets until ctx ends. If idle is not 0, it also ends when
// there has been no client for that time and the queue is empty. It runs the queue, too,
// and tells the service manager when it is ready and when it begins to end.
// An error says why it cannot go on.
func (v *Service) Listen(ctx context.Context, sockets []net.Listener, idle time.Duration) error {
	s := v.Submitter
	for _, a := range s.Config.Accounts {
		if err := smarthost.RefuseOwn(a, sockets); err != nil && !v.Managed {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.Smarthosts.Own = sockets
	defer v.Wait()
	clients := newClients()
	var all sync.WaitGroup
	failures := make([]error, len(sockets)+1)
	for i, l := range sockets {
		d := v.listener(ctx, l, clients)
		all.Go(func() {
			failures[i] = d.ServeListener(ctx, l)
			cancel(nil)
		})
	}
	v.forgetMended(ctx)
	if s.Queue != nil {
		r := v.runner() // shares our idle sessions, which could otherwise hold all slots
		all.Go(func() { r.Forever(ctx) })
	}
	if idle > 0 {
		all.Go(func() {
			failures[len(sockets)] = v.waitIdle(ctx, clients, idle)
			cancel(nil)
		})
	}
	process.NotifyManager("READY=1")
	all.Go(func() {
		<-ctx.Done()
		process.NotifyManager("STOPPING=1")
	})
	all.Wait()
	return status.Temporary.Wrap(errors.Join(failures...))
}

// listener returns the SMTP server for the clients of one socket.
func (v *Service) listener(ctx context.Context, l net.Listener, clients *clients) *smtpd.Server {
	s := v.Submitter
	_, tcp := l.Addr().(*net.TCPAddr)
	d := &smtpd.Server{
		Hostname: rewrite.Hostname(s.Config, s.Identity), AllowUnqualified: true, Lifetime: sessionTime,
		MaxSize: int64(s.Config.QueueLimit), MaxRecipients: maxRecipients,
		Greet: func(conn net.Conn, d *smtpd.Server) (left func(), err error) {
			peer, err := v.admit(conn)
			if err != nil {
				return nil, err
			}
			loggedIn, left, err := clients.enter(peer, tcp)
			if err != nil {
				return nil, err
			}
			if mine, err := v.renewed(); err == nil {
				d.MaxSize = int64(mine.Config.QueueLimit)
			}
			if tcp {
				d.Auth = func(user, password string) error {
					err := v.login(ctx, conn, user, password)
					if err == nil {
						loggedIn()
					}
					return err
				}
			}
			d.Handle = func(ctx context.Context, c smtpd.Client, e *envelope.Envelope, content io.Reader) error {
				mine, fault := v.renewed()
				m, err := message.Read(content, message.Options{MaxHeader: maxHeader})
				if err != nil {
					return err
				}
				r := v.request(e, m)
				r.Peer, r.Login = peer, c.User
				m.Prepend("Received", received(mine, r, c))
				return v.handle(ctx, mine, fault, r)
			}
			return left, nil
		},
	}
	if tcp {
		d.RequireAuth, d.MaxErrors, d.LoginTime, d.MaxLoggingIn = true, badCommands, loginTime, maxLoggingIn
	}
	return d
}

// renewed returns the Submitter with the configuration as it is now.
func (v *Service) renewed() (*submit.Submitter, error) {
	s, err := v.Submitter.Of(v.By.CommandLine)
	if err != nil {
		return v.Submitter, err // with the configuration at the start: mail waits until the new one is mended
	}
	if s.Queue != nil {
		s.Queue.MaxBytes.Store(int64(s.Config.QueueLimit))
	}
	return s, nil
}

// admit returns the user who has connected, and an error if listen-users excludes that
// user from a Unix socket.
func (v *Service) admit(conn net.Conn) (process.Peer, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		peer, _ := process.PeerOfTCP(conn) // zero if the kernel does not know; on TCP the login decides
		return peer, nil
	}
	allowed := v.listenUsers()
	peer, err := process.PeerOf(unix)
	if len(allowed) == 0 {
		return peer, nil
	}
	if err != nil {
		return peer, status.NotAllowed.Errorf("your user ID cannot be determined: %w", err)
	}
	if !slices.ContainsFunc(allowed, func(name string) bool { return process.IsUser(name, peer.UID) }) {
		return peer, status.NotAllowed.Errorf("uid %d is not in listen-users", peer.UID)
	}
	return peer, nil
}

// login checks a login on a TCP port, to which any program of this machine may connect:
// user and password must be those of an account. After a wrong password it delays its
// error, unless the client leaves.
func (v *Service) login(ctx context.Context, conn net.Conn, user, password string) error {
	s, err := v.renewed()
	if err != nil {
		return err
	}
	for _, a := range s.Config.Accounts {
		if a.User == user && v.passwords.fits(ctx, s, a, password) {
			return nil
		}
	}
	s.Log.Fault(fmt.Errorf("a wrong login as %s", status.Printable(user)))
	v.delayWrongPassword(ctx, conn)
	return errors.New("no account has that user and password")
}

// delayWrongPassword waits for the time wrongPassword, or until the client leaves.
// Clients on several connections wait one after the other, so that many connections
// cannot guess faster than one.
func (v *Service) delayWrongPassword(ctx context.Context, conn net.Conn) {
	hasLeft := func() bool { return ctx.Err() != nil || process.PeerClosed(conn) }
	for !v.guessing.TryLock() {
		if hasLeft() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	defer v.guessing.Unlock()
	for begun := time.Now(); time.Since(begun) < wrongPassword && !hasLeft(); {
		time.Sleep(50 * time.Millisecond)
	}
}

// Passwords compares the passwords of clients with the secrets of accounts. Only one
// login at a time reads a secret, and the logins of the next seconds use its hash,
// because reading may run a command that many clients must not start at once.
type passwords struct {
	mu    sync.Mutex
	known map[string]hashed // by throttle.Key
}

// A hashed is the hash of a secret, and when the secret was read.
type hashed struct {
	hash [sha256.Size]byte // zero: the secret could not be read
	at   time.Time
}

// How long a hash is used before the secret is read again.
const (
	fitsFor   = 10 * time.Second // if the password fits the hash
	refuseFor = time.Second      // if not: the secret may have changed since
)

// fits reports whether password is the secret of a.
func (p *passwords) fits(ctx context.Context, s *submit.Submitter, a *config.Account, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, got := throttle.Key(a), sha256.Sum256([]byte(password))
	h := p.known[key]
	if age := time.Since(h.at); age < fitsFor && h.fits(got) || age < refuseFor {
		return h.fits(got)
	}
	h = hashed{at: time.Now()}
	refs, item := login.Item(a)
	if secret, err := s.Smarthosts.Secrets.Store.Get(ctx, refs, item); err == nil && !secret.IsZero() {
		h.hash = sha256.Sum256([]byte(secret.Reveal()))
	}
	if p.known == nil {
		p.known = make(map[string]hashed)
	}
	p.known[key] = h
	return h.fits(got)
}

// fits reports whether the secret could be read, and password is its hash.
func (h *hashed) fits(password [sha256.Size]byte) bool {
	return h.hash != [sha256.Size]byte{} && subtle.ConstantTimeCompare(h.hash[:], password[:]) == 1
}

// received returns the value of the Received field of a client's message (RFC 5321
// section 4.4). Without the field, a mail loop through us would never end. No word of
// it is the client's.
func received(s *submit.Submitter, r *submit.Request, c smtpd.Client) string {
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
	return fmt.Sprintf("by %s (sendoff%s) with %s id %s; %s", rewrite.Hostname(s.Config, s.Identity), from, with, r.ID(), time.Now().Format(time.RFC1123Z))
}

// waitIdle returns when there has been no client for the time idle, and the queue is
// empty, or needs another credential; then it returns errRenew.
func (v *Service) waitIdle(ctx context.Context, c *clients, idle time.Duration) error {
	for begun := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(idle, time.Second)):
		}
		switch q := v.Submitter.Queue; {
		case c.areGone(idle) && (q == nil || !q.Waits(nil)):
			return nil
		case time.Since(begun) > renewTime && c.areGone(0): // the next client waits at the manager's socket
			if begun = time.Now(); v.needsCredential() {
				return errRenew
			}
		}
	}
}

// Clients counts the sessions of Listen with clients.
type clients struct {
	mu        sync.Mutex
	open      int         // all sessions
	last      time.Time   // when the last session ended; at first, when Listen began
	sessions  map[int]int // by user
	loggingIn map[int]int // sessions that must log in and have not yet, by user
}

// unknown stands for the user of a client whom the kernel does not know. The limits for
// one user do not apply to it.
const unknown = -2

func newClients() *clients {
	return &clients{last: time.Now(), sessions: make(map[int]int), loggingIn: make(map[int]int)}
}

// enter counts a session with peer; mustLogIn says that the client must log in. An error
// says that the user has too many sessions. Otherwise the caller calls loggedIn after
// the login, and left at the end of the session.
func (c *clients) enter(peer process.Peer, mustLogIn bool) (loggedIn, left func(), err error) {
	user := unknown
	if peer != (process.Peer{}) {
		user = process.CountedAs(peer.UID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case user != unknown && mustLogIn && c.loggingIn[user] >= maxLoggingInPerUser:
		return nil, nil, status.Temporary.Errorf("uid %d has %d sessions without a login already", peer.UID, maxLoggingInPerUser)
	case user != unknown && c.sessions[user] >= perUser:
		return nil, nil, status.Temporary.Errorf("uid %d has %d sessions already", peer.UID, perUser)
	case mustLogIn:
		c.loggingIn[user]++
	}
	c.sessions[user]++
	c.open++
	loggedIn = sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if mustLogIn {
			c.loggingIn[user]--
		}
	})
	return loggedIn, func() {
		loggedIn()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sessions[user]--
		c.open--
		c.last = time.Now()
	}, nil
}

// areGone reports whether there has been no client for the time idle.
func (c *clients) areGone(idle time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open == 0 && time.Since(c.last) >= idle
}
