package submit

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A fault is why an account cannot be used, as all processes of the user know
// it from the queue's folder:
//
//	a login failed       nobody tries again before its time, but a person at a
//	                     terminal, or somebody with another secret
//	anything else        runs of the queue try again in its time
//
//	a limit              all obey it, as limit.go says
//
// A limit is forgotten when a message is taken, anything else when a session is
// ready for mail, for whatever server and user the account has then.
type fault struct {
	account  string // its name
	login    bool   // a login failed
	limit    bool   // a limit was met, which ends when a message is taken
	by       string // the messages that have met it, while they are too few to be sure
	reason   string
	failures int         // so many, one after the other
	since    time.Time   // the first of them
	tries    []time.Time // some of them, for tooOld
	at       time.Time   // the last
	next     time.Time   // no attempt before
	salt     string      // with it and the secret that failed,
	hash     string      // hashSecret gives this; several are separated by spaces
	alone    string      // of the last message that was taken: others that have met a limit alone
	place    string      // of what a person was told: where the configuration is
	file     string      // its name in the queue's folder, if it was read from there
	lack     bool        // this process lacks what another one may have; never in the folder
}

// iterations make guessing a secret from its hash slow: some 30 ms each.
const iterations = 100_000

func hashSecret(secret credential.Secret, salt string) string {
	hash, err := pbkdf2.Key(sha256.New, secret.Reveal(), []byte(salt), iterations, sha256.Size)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(hash)
}

// faultKeys are the lines of the file of a fault.
var faultKeys = [...]struct {
	key   string
	field func(*fault) any // a pointer to a string, int, bool, time or times
}{
	{"account", func(f *fault) any { return &f.account }},
	{"login", func(f *fault) any { return &f.login }},
	{"limit", func(f *fault) any { return &f.limit }},
	{"by", func(f *fault) any { return &f.by }},
	{"reason", func(f *fault) any { return &f.reason }},
	{"failures", func(f *fault) any { return &f.failures }},
	{"since", func(f *fault) any { return &f.since }},
	{"tries", func(f *fault) any { return &f.tries }},
	{"at", func(f *fault) any { return &f.at }},
	{"next", func(f *fault) any { return &f.next }},
	{"salt", func(f *fault) any { return &f.salt }},
	{"alone", func(f *fault) any { return &f.alone }},
	{"place", func(f *fault) any { return &f.place }},
	{"hash", func(f *fault) any { return &f.hash }},
}

// faultPrefix begins the names of the files of faults.
const faultPrefix = "fault-"

func (f *fault) marshal() []byte {
	var b strings.Builder
	for _, k := range faultKeys {
		value := ""
		switch p := k.field(f).(type) {
		case *string:
			value = *p
		case *int:
			value = strconv.Itoa(*p)
		case *bool:
			value = strconv.FormatBool(*p)
		case *time.Time:
			value = p.UTC().Format(time.RFC3339Nano)
		case *[]time.Time:
			value = queue.FormatTimes(*p)
		}
		fmt.Fprintf(&b, "%s %s\n", k.key, status.Printable(value))
	}
	b.WriteString("end\n")
	return []byte(b.String())
}

// readFault returns what is known under name; nil if there is no fault.
func readFault(q *queue.Queue, name string) *fault {
	text, whole := strings.CutSuffix(string(q.State(name)), "end\n")
	if !whole {
		return nil
	}
	f := &fault{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		for _, k := range faultKeys {
			if k.key != key {
				continue
			}
			switch p := k.field(f).(type) {
			case *string:
				*p = value
			case *int:
				*p, _ = strconv.Atoi(value)
			case *bool:
				*p = value == "true"
			case *time.Time:
				*p, _ = time.Parse(time.RFC3339Nano, value)
			case *[]time.Time:
				*p, _ = queue.ParseTimes(value)
			}
		}
	}
	return f
}

// isDue reports whether an attempt may be made with the account.
func (f *fault) isDue(s *Submitter) bool { return s.schedule().Due(f.at, f.next) }

// schedule is when things are tried again, as the configuration has it.
func (s *Submitter) schedule() queue.Schedule {
	return queue.Schedule{First: s.Config.Retry[0].Duration, Longest: s.Config.Retry[1].Duration, Lifetime: s.Config.Lifetime.Duration}
}

// accountKey returns what stands for an account among files: whom it logs in
// to, as whom, and with what.
func accountKey(a *config.Account) string {
	h := sha256.New()
	for _, server := range a.Servers {
		fmt.Fprintf(h, "%q ", server.String())
		fmt.Fprintf(h, "%q ", server.Identity())
	}
	fmt.Fprintf(h, "%q %q", a.User, []string(a.Secret))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// note remembers that an account cannot be used. The waits grow with failures
// that came when an attempt was due, not with those of callers who do not wait.
func (s *Submitter) note(key, name string, err error, secret *credential.Secret) {
	if s.Queue == nil {
		return
	}
	f := s.fault(key)
	now := time.Now()
	if f == nil {
		f = &fault{account: name, since: now}
	}
	due := f.isDue(s)
	f.tries, f.at = queue.AddTry(f.tries, now), now
	switch {
	case secret != nil:
		f.addHash(*secret)
	case f.login && !due: // what else is wrong does not end the rest after a login
		s.setFault(key, f)
		return
	default:
		f.salt, f.hash = "", ""
	}
	if due || secret != nil {
		f.failures++
		f.next = now.Add(s.schedule().Backoff(f.failures))
	}
	f.login, f.reason = secret != nil, oneLine(err)
	s.setFault(key, f)
}

// noteLack remembers that this process lacks what another one may have: it is not
// the account's fault, and no other process shall know of it.
func (s *Submitter) noteLack(key, name string, err error) {
	f := &fault{account: name, reason: oneLine(err), since: time.Now(), at: time.Now(), lack: true}
	if before := s.memory.fault(key); before != nil {
		f.since, f.failures = before.since, before.failures
	}
	f.failures++
	f.next = f.at.Add(s.schedule().Backoff(f.failures))
	s.memory.setFault(key, f)
}

// maxHashes is how many secrets that failed are known one beside the other: two
// processes may have one each.
const maxHashes = 4

func (f *fault) addHash(secret credential.Secret) {
	if f.salt == "" {
		f.salt = rand.Text()
	}
	hashes := strings.Fields(f.hash)
	if hash := hashSecret(secret, f.salt); !slices.Contains(hashes, hash) {
		hashes = append(hashes, hash)
	}
	f.hash = strings.Join(hashes[max(0, len(hashes)-maxHashes):], " ")
}

// fault returns what is wrong with an account; nil if nothing is.
func (s *Submitter) fault(key string) *fault {
	f := readFault(s.Queue, faultPrefix+key)
	if own := s.memory.fault(key); own != nil && (f == nil || own.at.After(f.at)) {
		return own
	}
	return f
}

// setFault writes down what is wrong with an account.
func (s *Submitter) setFault(key string, f *fault) {
	if err := s.Queue.SetState(faultPrefix+key, f.marshal()); err != nil {
		s.memory.setFault(key, f)
		s.Log.Fault(fmt.Errorf("account %s: %w", f.account, err))
		return
	}
	s.memory.setFault(key, nil)
}

// forget removes the fault of an account that can be used again.
func (s *Submitter) forget(key string) {
	s.memory.setFault(key, nil)
	if s.Queue != nil && s.Queue.State(faultPrefix+key) != nil {
		s.Queue.SetState(faultPrefix+key, nil)
	}
}

// ready forgets all faults of a, which is ready for mail, but a limit. Those of the
// same name are of a server, or a user, that the account had before.
func (s *Submitter) ready(a *config.Account) {
	if s.Queue == nil {
		return
	}
	if key := accountKey(a); s.limit(key) == nil {
		s.forget(key)
	}
	if a.File == "" {
		return // its name is that of others, too
	}
	for _, f := range faults(s.Queue) {
		if f.account == a.Name && !f.limit {
			s.Queue.SetState(f.file, nil)
		}
	}
}

// resting returns an error if the account must not log in now, because a login
// with the same secret failed a short while ago.
func (s *Submitter) resting(ctx context.Context, a *config.Account, l *login) error {
	f := s.failedLogin(a)
	if f == nil || l == nil {
		return nil
	}
	secret, err := l.secret(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(f.hash), hashSecret(secret, f.salt)) {
		return nil
	}
	return f.rests()
}

// failedLogin returns the fault for which a must not log in now, whatever its
// secret is; nil if there is none.
func (s *Submitter) failedLogin(a *config.Account) *fault {
	if s.Queue == nil || s.Store.Interactive {
		return nil
	}
	f := s.fault(accountKey(a))
	if f == nil || !f.login || f.isDue(s) {
		return nil
	}
	return f
}

func (f *fault) rests() error {
	return &rests{status.AuthFailed.Errorf("%s; no further login before %s", f.reason, f.next.Local().Format("15:04:05"))}
}

// rests is the error of a login that was not tried.
type rests struct{ error }

func (r *rests) Unwrap() error { return r.error }

// slotTime is how long to wait for one of an account's sessions.
const slotTime = 4 * time.Second

// busy is the error of a session that there was no slot for.
type busy struct{ error }

func (b *busy) Unwrap() error { return b.error }

// pause waits a moment for a session to become free.
func pause(ctx context.Context, a *config.Account) error {
	select {
	case <-ctx.Done():
		return status.Connection.Errorf("%w while waiting for a session with %s", context.Cause(ctx), a.Name)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// slot takes one of the sessions that the user's processes may have with an
// account at once. Where there is no queue, there is no end of them.
func (s *Submitter) slot(ctx context.Context, a *config.Account, patience time.Duration) (release func(), err error) {
	if s.Queue == nil {
		return func() {}, nil
	}
	key := accountKey(a)
	for deadline := time.Now().Add(patience); ; {
		for n := range s.Config.Sessions {
			release, err := s.Queue.Lock(fmt.Sprintf("slot-%s-%d", key, n))
			if err == nil {
				return release, nil
			}
			if !errors.Is(err, queue.ErrBusy) {
				return func() {}, nil // better one session too many than none
			}
		}
		if time.Now().After(deadline) {
			return nil, &busy{status.Connection.Errorf("all %d sessions with %s are busy", s.Config.Sessions, a.Name)}
		}
		if err := pause(ctx, a); err != nil {
			return nil, err
		}
	}
}

// opened notes how the opening of a session went.
func (s *Submitter) opened(ctx context.Context, a *config.Account, l *login, err error) {
	key := accountKey(a)
	switch {
	case err == nil:
		s.ready(a)
	case errors.As(err, new(*rests)), ctx.Err() != nil:
	case leaves(err) && s.Queue != nil:
		s.meetLimit(key, a.Name, err, sessionMark+string(queue.NewID(time.Now())))
	case status.KindOf(err) == status.AuthFailed && l != nil:
		secret, _ := l.secret(ctx) // none: no access token was to be had
		s.note(key, a.Name, err, &secret)
	case errors.Is(err, credential.ErrNoVariable):
		s.noteLack(key, a.Name, err)
	default:
		s.note(key, a.Name, err, nil)
	}
}

// faults returns what is wrong with accounts, for people to see.
func faults(q *queue.Queue) []*fault {
	var all []*fault
	for _, name := range q.States() {
		if strings.HasPrefix(name, faultPrefix) {
			if f := readFault(q, name); f != nil {
				f.file = name
				all = append(all, f)
			}
		}
	}
	return all
}
