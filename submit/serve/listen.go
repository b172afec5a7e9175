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

// Bounds of what the clients of Listen may do; of their number smtpd has one.
const (
	sessionTime   = time.Hour        // that one may stay
	loginTime     = 10 * time.Second // that one may take to log in on a TCP port
	maxStrangers  = 10               // sessions at once without a login there
	userStrangers = 3                // those of one user
	badCommands   = 3                // that one may give on a TCP port
	wrongPassword = time.Second      // that all have to wait
	perUser       = 20               // sessions of one user at once
	maxGuests     = 1000             // recipients of a message
	maxHeader     = 256 << 10        // octets of the header of one, and by which it may grow
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
	s := v.Submitter
	for _, a := range s.Config.Accounts {
		if err := smarthost.RefuseOwn(a, sockets); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.Smarthosts.Own = sockets
	defer v.Wait()
	door := &door{last: time.Now(), guests: make(map[kind]int)}
	var all sync.WaitGroup
	failures := make([]error, len(sockets))
	for i, l := range sockets {
		d := v.listener(ctx, l)
		all.Go(func() {
			failures[i] = d.ServeListener(ctx, &counter{l, door})
			cancel(nil)
		})
	}
	if s.Queue != nil {
		r := v.runner() // uses the idle sessions, or it would never get a slot
		all.Go(func() {
			for ctx.Err() == nil {
				if bug := process.Guarded(func() { r.Forever(ctx) }); bug != nil {
					s.Log.Fault(bug)
					sleep(ctx, time.Second)
				}
			}
		})
	}
	if idle > 0 {
		all.Go(func() {
			v.waitIdle(ctx, door, idle)
			cancel(nil)
		})
	}
	all.Wait()
	return status.Temporary.Wrap(errors.Join(failures...))
}

// listener is the server for the clients of one socket.
func (v *Service) listener(ctx context.Context, l net.Listener) *smtpd.Server {
	s := v.Submitter
	_, tcp := l.Addr().(*net.TCPAddr)
	d := &smtpd.Server{
		Hostname: rewrite.Hostname(s.Config, s.Identity), AllowUnqualified: true, Lifetime: sessionTime,
		MaxSize: int64(s.Config.QueueLimit), MaxRecipients: maxGuests,
		Greet: func(conn net.Conn, d *smtpd.Server) error {
			guest := conn.(*guest)
			peer, err := v.admit(guest.Conn)
			if err != nil {
				return err
			}
			if err := guest.identify(peer, tcp); err != nil {
				return err
			}
			if mine, err := v.renewed(); err == nil {
				d.MaxSize = int64(mine.Config.QueueLimit)
			}
			if tcp {
				d.Auth = func(user, password string) error {
					err := v.login(ctx, guest.Conn, user, password)
					if err == nil {
						guest.loggedIn()
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
			return nil
		},
	}
	if tcp {
		d.RequireAuth, d.MaxErrors, d.LoginTime, d.MaxLoggingIn = true, badCommands, loginTime, maxStrangers
	}
	return d
}

// renewed returns the Submitter with the configuration as it is now.
func (v *Service) renewed() (*submit.Submitter, error) {
	s, err := v.Submitter.Of(v.By.CommandLine)
	if err != nil {
		return v.Submitter, err // as it was at first: mail waits until the configuration is mended
	}
	if s.Queue != nil {
		s.Queue.MaxBytes.Store(int64(s.Config.QueueLimit))
	}
	return s, nil
}

// admit reports who has connected, and an error if that user may not submit.
func (v *Service) admit(conn net.Conn) (process.Peer, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		peer, _ := process.PeerOfTCP(conn) // nobody where the kernel does not tell; the login decides
		return peer, nil
	}
	s, err := v.renewed()
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
	if !slices.ContainsFunc(allowed, func(name string) bool { return process.IsUser(name, peer.UID) }) {
		return peer, status.NotAllowed.Errorf("uid %d is not among listen-users", peer.UID)
	}
	return peer, nil
}

// login checks a login on a TCP port, where any program of this machine may
// connect: user and password are those of an account. Whoever gave a wrong
// password waits for its answer, unless the client leaves.
func (v *Service) login(ctx context.Context, conn net.Conn, user, password string) error {
	s, err := v.renewed()
	if err != nil {
		return err
	}
	for _, a := range s.Config.Accounts {
		if a.User == user && v.secrets.fits(ctx, s, a, password) {
			return nil
		}
	}
	s.Log.Fault(fmt.Errorf("a wrong login as %s", status.Printable(user)))
	v.punish(ctx, conn)
	return errors.New("no account has that user and password")
}

// punish returns after the time that a wrong password costs, or when the client
// has left. The clients of many connections wait one after the other, so that
// they guess no faster than one.
func (v *Service) punish(ctx context.Context, conn net.Conn) {
	over := func() bool { return ctx.Err() != nil || process.Left(conn) }
	for !v.guessing.TryLock() {
		if over() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	defer v.guessing.Unlock()
	for begun := time.Now(); time.Since(begun) < wrongPassword && !over(); {
		time.Sleep(50 * time.Millisecond)
	}
}

// A keyhole checks passwords against the secrets of accounts. A secret is
// fetched by one login at a time, and its hash serves those of the next
// seconds: a fetch may run a command, which many clients must not start at once.
type keyhole struct {
	mu    sync.Mutex
	known map[string]heldSecret // by the account's key
}

// A heldSecret is a secret that was fetched, by its hash; the hash is zero if the
// secret could not be read.
type heldSecret struct {
	hash [sha256.Size]byte
	at   time.Time
}

// How long a fetched secret serves for passwords that fit it, and how long for
// those that do not: it may have been changed meanwhile.
const (
	fitsFor   = 10 * time.Second
	refuseFor = time.Second
)

// fits reports whether password is the secret of a.
func (k *keyhole) fits(ctx context.Context, s *submit.Submitter, a *config.Account, password string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, got := throttle.Key(a), sha256.Sum256([]byte(password))
	f := k.known[key]
	if age := time.Since(f.at); age < fitsFor && f.is(got) || age < refuseFor {
		return f.is(got)
	}
	f = heldSecret{at: time.Now()}
	refs, item := login.Item(a)
	if secret, err := s.Smarthosts.Secrets.Store.Get(ctx, refs, item); err == nil && !secret.IsZero() {
		f.hash = sha256.Sum256([]byte(secret.Reveal()))
	}
	if k.known == nil {
		k.known = make(map[string]heldSecret)
	}
	k.known[key] = f
	return f.is(got)
}

func (f *heldSecret) is(hash [sha256.Size]byte) bool {
	return f.hash != [sha256.Size]byte{} && subtle.ConstantTimeCompare(f.hash[:], hash[:]) == 1
}

// received is the value of the trace field of a message that somebody else hands
// on (RFC 5321 section 4.4): without it a loop through us would have no end. It
// has no word of the client's.
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

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// waitIdle returns when there has been nobody at the door for so long, and the
// queue is empty.
func (v *Service) waitIdle(ctx context.Context, d *door, idle time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(idle, time.Second)):
		}
		if !d.idle(idle) {
			continue
		}
		if q := v.Submitter.Queue; q == nil || !q.Waits(nil) {
			return
		}
	}
}

// A door counts the clients that are in.
type door struct {
	mu     sync.Mutex
	open   int
	guests map[kind]int
	last   time.Time // when one came or went
}

// A kind is what a user's sessions are counted by.
type kind struct {
	uid      int
	stranger bool // without a login where one is wanted
}

// enter counts a guest of a kind; false if there are limit of them already.
func (d *door) enter(k kind, limit int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.guests[k] >= limit {
		return false
	}
	d.guests[k]++
	return true
}

func (d *door) leave(k kind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.guests[k]--; d.guests[k] == 0 {
		delete(d.guests, k)
	}
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

	mu    sync.Mutex
	kinds []kind // that it is counted as
}

// identify counts the guest among the sessions of its user, if that is known.
func (g *guest) identify(peer process.Peer, mustLogIn bool) error {
	if peer == (process.Peer{}) {
		return nil
	}
	uid := process.CountedAs(peer.UID)
	if mustLogIn && !g.countAs(kind{uid, true}, userStrangers) {
		return status.Temporary.Errorf("uid %d has %d sessions without a login already", peer.UID, userStrangers)
	}
	if !g.countAs(kind{uid, false}, perUser) {
		return status.Temporary.Errorf("uid %d has %d sessions already", peer.UID, perUser)
	}
	return nil
}

func (g *guest) countAs(k kind, limit int) bool {
	if !g.door.enter(k, limit) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kinds = append(g.kinds, k)
	return true
}

// loggedIn ends the guest's being a stranger.
func (g *guest) loggedIn() {
	g.forget(func(k kind) bool { return k.stranger })
}

// forget takes back what the guest is counted as.
func (g *guest) forget(which func(kind) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kinds = slices.DeleteFunc(g.kinds, func(k kind) bool {
		if which(k) {
			g.door.leave(k)
			return true
		}
		return false
	})
}

func (g *guest) Close() error {
	g.once.Do(func() {
		g.door.move(-1)
		g.forget(func(kind) bool { return true })
	})
	return g.Conn.Close()
}
