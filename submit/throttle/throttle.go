// Package throttle knows, for all processes of a user, when an account may be
// tried again, and by how many of them at once. It keeps what it knows in the
// folder of the user's queue, a file in JSON or a lock for each kind:
//
//	fault-KEY    why an account cannot be used     Note, Works, Rest, Refused
//	             or a limit that it has met        Met, Admit, Probe
//	taken-KEY    when a server last took a message Taken
//	rate-KEY     messages begun lately             Pace, UserPace
//	slot-KEY-N   lock: a session with an account   Slot
//	probe-KEY    lock: the one that asks whether a limit is over
//	pace-KEY     lock: of rate-KEY, for a moment
//
// KEY stands for an account by what it logs in to, as whom, and with what (Key).
//
// The package must not know sessions or messages; of SMTP it knows the
// words of a refusal, from which it tells a limit.
//
// Errors: Held, if all sessions of an account are taken, or the account takes no
// message before a time; TooSoon, if a login must not be tried yet; and those of
// the disk, which stop no mail.
package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/queue"
	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// A Throttle holds accounts back as a configuration says. Where there is no queue,
// it is nil: nothing is known, and nothing is held back.
type Throttle struct {
	queue     *queue.Queue
	config    *config.Config
	unwritten *Unwritten
}

// New returns a Throttle that keeps what it knows in the folder of q, and takes
// schedule, number of sessions and user-rate from c; nil if q is nil. What the disk
// does not take goes to u, which may be nil.
func New(q *queue.Queue, c *config.Config, u *Unwritten) *Throttle {
	if q == nil {
		return nil
	}
	if u == nil {
		u = new(Unwritten)
	}
	return &Throttle{q, c, u}
}

// Schedule returns when things are tried again, as c has it.
func Schedule(c *config.Config) queue.Schedule {
	return queue.Schedule{First: c.Retry[0].Duration, Longest: c.Retry[1].Duration, Lifetime: c.Lifetime.Duration}
}

func (t *Throttle) schedule() queue.Schedule { return Schedule(t.config) }

// Unwritten holds faults that the disk did not take, for all Throttles of a
// process. Without it one login would be tried again and again where the disk is
// full.
type Unwritten struct {
	faults sync.Map // *Fault by the key of the account; nil is none
}

func (u *Unwritten) get(key string) *Fault {
	f, _ := u.faults.Load(key)
	fault, _ := f.(*Fault)
	return fault
}

// Lacks reports whether this process lacks something that an account needs, and
// that another process may have (credential.ErrNoVariable).
func (u *Unwritten) Lacks() (lacks bool) {
	if u == nil {
		return false
	}
	u.faults.Range(func(key, _ any) bool {
		lacks = u.LacksFor(key.(string))
		return !lacks
	})
	return lacks
}

// LacksFor is Lacks for the account with a key.
func (u *Unwritten) LacksFor(key string) bool {
	f := u.get(key)
	return f != nil && f.lack
}

// Key returns what stands for an account among files: whom it logs in to, as whom,
// and with what.
func Key(a *config.Account) string {
	h := sha256.New()
	for _, server := range a.Servers {
		fmt.Fprintf(h, "%q ", server.String())
		fmt.Fprintf(h, "%q ", server.Identity())
	}
	fmt.Fprintf(h, "%q %q", a.User, secret.Texts(a.Secret))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// KeyOf returns what stands for anything else that can have a fault: a
// configuration that cannot be loaded, or a choice that finds no account.
func KeyOf(by any) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%q", by))
	return hex.EncodeToString(h[:8])
}

// SlotTime is how long a message waits for one of its account's sessions.
const SlotTime = 4 * time.Second

// Slot takes one of the sessions that the user's processes may have with an
// account at once, and waits up to patience for it; after that the error is a Held.
// release gives the session back. A Throttle that is nil has any number of them.
func (t *Throttle) Slot(ctx context.Context, a *config.Account, patience time.Duration) (release func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	key := Key(a)
	for deadline := time.Now().Add(patience); ; {
		for n := range t.config.Sessions {
			release, err := t.queue.State.Lock(fmt.Sprintf("slot-%s-%d", key, n))
			if err == nil {
				return release, nil
			}
			if !errors.Is(err, queue.ErrBusy) {
				return func() {}, nil // better one session too many than none
			}
		}
		if time.Now().After(deadline) {
			return nil, &Held{Err: status.Connection.Errorf("all %d sessions with %s are busy", t.config.Sessions, a.Name)}
		}
		if err := Pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// Pause waits a moment for a session with a to become free. Its error says that ctx
// has ended.
func Pause(ctx context.Context, a *config.Account) error {
	select {
	case <-ctx.Done():
		return status.Connection.Errorf("%w while waiting for a session with %s", context.Cause(ctx), a.Name)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}
