// Package throttle decides, for all processes of a user, when an account may be tried
// again, and how many sessions it may have at once. It keeps its state in the folder of
// the user's queue, in JSON files and locks:
//
//	fault-KEY    why an account cannot be used     Note, Works, Rest, Refused
//	             or a limit that it has met        Met, Admit, Probe
//	taken-KEY    when a server last took a message Taken
//	rate-KEY     messages begun lately             Pace, UserPace
//	slot-KEY-N   lock: a session with an account   Slot
//	probe-KEY    lock: a message that finds out whether a limit is over
//	pace-KEY     lock: of rate-KEY, for a moment
//
// KEY stands for an account: its servers, user and secret (Key).
//
// The package must not know sessions or messages. Of SMTP it knows only how to
// recognize a limit in a reply.
//
// Errors: Held, if all sessions of an account are busy, or the account takes no
// message now; TooSoon, if a login must not be tried yet; and those of the disk, which
// stop no mail.
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

// A Throttle holds accounts back as a configuration says. A nil Throttle, where there
// is no queue, knows no faults and holds nothing back.
type Throttle struct {
	queue     *queue.Queue
	config    *config.Config
	unwritten *Unwritten
}

// New returns a Throttle that keeps its state in the folder of q, and takes retry,
// lifetime, sessions and user-rate from c; nil if q is nil. Faults that the disk does
// not take go to u, which may be nil.
func New(q *queue.Queue, c *config.Config, u *Unwritten) *Throttle {
	if q == nil {
		return nil
	}
	if u == nil {
		u = new(Unwritten)
	}
	return &Throttle{q, c, u}
}

// Schedule returns the schedule of attempts that c configures.
func Schedule(c *config.Config) queue.Schedule {
	return queue.Schedule{First: c.Retry[0].Duration, Longest: c.Retry[1].Duration, Lifetime: c.Lifetime.Duration}
}

func (t *Throttle) schedule() queue.Schedule { return Schedule(t.config) }

// Unwritten holds faults that the disk did not take, for all Throttles of a process.
// Without it, a process would try a failed login again and again while the disk is full.
type Unwritten struct {
	// Serves says that this process is the one that sends for the queue: a secret that
	// it was started without (credential.Lacking) is a fault of the account.
	Serves bool

	faults sync.Map // *Fault by the key of the account
}

func (u *Unwritten) get(key string) *Fault {
	f, _ := u.faults.Load(key)
	fault, _ := f.(*Fault)
	return fault
}

// Lack returns the fault of an account whose secret this process was started without
// (credential.Lacking), although another process may have it; nil: there is none.
func (u *Unwritten) Lack() (lack *Fault) {
	if u == nil {
		return nil
	}
	u.faults.Range(func(_, fault any) bool {
		if f := fault.(*Fault); f.lack {
			lack = f
		}
		return lack == nil
	})
	return lack
}

// LacksFor reports whether this process lacks the secret of the account with that key.
func (u *Unwritten) LacksFor(key string) bool {
	f := u.get(key)
	return f != nil && f.lack
}

// Key returns 16 hexadecimal digits that stand for an account in the names of files.
// Accounts with the same servers, user and sources of the secret have the same key.
func Key(a *config.Account) string {
	h := sha256.New()
	for _, server := range a.Servers {
		fmt.Fprintf(h, "%q ", server.String())
		fmt.Fprintf(h, "%q ", server.Identity())
	}
	fmt.Fprintf(h, "%q %q", a.User, secret.Texts(a.Secret))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// KeyOf is Key for a fault without an account: by is the config.Override of files that
// cannot be loaded, or the config.Choice that finds no account.
func KeyOf(by any) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%q", by))
	return hex.EncodeToString(h[:8])
}

// SlotTime is how long a message waits for a slot of its account.
const SlotTime = 4 * time.Second

// Slot takes a slot of an account. There is one slot for each session that all
// processes of the user together may have with the account at once (setting sessions).
// Slot waits up to patience for a free one; then the error is a Held. A nil Throttle
// has any number of slots. The caller releases the slot with release.
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
				return func() {}, nil // without locks, rather open too many sessions than none
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

// Pause waits a moment before the next look for a free slot of a. It returns an error
// only if ctx has ended.
func Pause(ctx context.Context, a *config.Account) error {
	select {
	case <-ctx.Done():
		return status.Connection.Errorf("%w while waiting for a session with %s", context.Cause(ctx), a.Name)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}
