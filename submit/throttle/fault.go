package throttle

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A Fault is why an account cannot be used:
//
//	a login failed    nobody tries again before its time, but a person at a
//	                  terminal, or a process with another secret
//	a limit was met   all obey it, as limit.go says
//	anything else     runs of the queue try again in its time
//
// A limit is forgotten when a message is taken, anything else when a session is
// ready for mail, for whatever server and user the account has then.
type Fault struct {
	Account  string    // its name; "" is a configuration that cannot be loaded
	Login    bool      // a login failed
	Limit    bool      // a limit was met, which ends when a message is taken
	Reason   string    // in words, on one line
	Failures int       // so many, one after the other
	Since    time.Time // the first of them
	At       time.Time // the last
	Next     time.Time // no attempt before

	Tries []time.Time // some attempts, for queue.Schedule.TooOld

	MetBy []string // the messages that have met the limit, while they are too few to be sure
	Salt  string   // with it and a secret that failed,
	Hash  []string // hashSecret gives one of these

	lack bool   // this process lacks a thing that another one may have; never in a file
	file string // its name in the queue's folder, if it was read from there
}

// faultPrefix begins the names of the files of faults.
const faultPrefix = "fault-"

// readFault returns the fault in a file; nil if there is none.
func readFault(q *queue.Queue, name string) *Fault {
	f := &Fault{file: name}
	if err := json.Unmarshal(q.State.Read(name), f); err != nil {
		return nil
	}
	return f
}

// writeJSON writes v as the text of a file.
func writeJSON(write func(name string, text []byte) error, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(name, text)
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

// maxHashes is how many secrets that failed are known one beside the other: two
// processes may have one each.
const maxHashes = 4

func (f *Fault) addSecret(secret credential.Secret) {
	if f.Salt == "" {
		f.Salt = rand.Text()
	}
	if hash := hashSecret(secret, f.Salt); !slices.Contains(f.Hash, hash) {
		f.Hash = append(f.Hash, hash)
	}
	f.Hash = f.Hash[max(0, len(f.Hash)-maxHashes):]
}

// Due reports whether an attempt may be made with the account that has f.
func (t *Throttle) Due(f *Fault) bool { return t.schedule().Due(f.At, f.Next) }

// Fault returns what is wrong with the account that has a key; nil if nothing is.
func (t *Throttle) Fault(key string) *Fault {
	if t == nil {
		return nil
	}
	f := readFault(t.queue, faultPrefix+key)
	if own := t.unwritten.get(key); own != nil && (f == nil || own.At.After(f.At)) {
		return own
	}
	return f
}

// setFault writes down what is wrong with an account.
func (t *Throttle) setFault(key string, f *Fault) error {
	if err := writeJSON(t.queue.State.Write, faultPrefix+key, f); err != nil {
		t.unwritten.faults.Store(key, f)
		return fmt.Errorf("account %s: %w", f.Account, err)
	}
	t.unwritten.faults.Delete(key)
	return nil
}

// Note notes that no session could be opened with the account of that name, or what
// else has the key. secret is the one that was refused; nil if the login was not to
// blame. The waits grow with failures that came when an attempt was due, not with those
// of callers who do not wait. An error is the disk's.
func (t *Throttle) Note(key, name string, err error, secret *credential.Secret) error {
	if t == nil {
		return nil
	}
	if secret == nil && errors.Is(err, credential.ErrNoVariable) {
		t.noteLack(key, name, err)
		return nil
	}
	f, now := t.Fault(key), time.Now()
	if f == nil {
		f = &Fault{Account: name, Since: now}
	}
	due := t.Due(f)
	f.Tries, f.At = queue.AddTry(f.Tries, now), now
	switch {
	case secret != nil:
		f.addSecret(*secret)
	case f.Login && !due: // another fault does not end the rest after a login
		return t.setFault(key, f)
	default:
		f.Salt, f.Hash = "", nil
	}
	if due || secret != nil {
		f.Failures++
		f.Next = now.Add(t.schedule().Backoff(f.Failures))
	}
	f.Login, f.Reason = secret != nil, status.OneLine(err)
	return t.setFault(key, f)
}

// noteLack remembers that this process lacks a thing that another one may have: it
// is not the account's fault, and no other process shall know of it.
func (t *Throttle) noteLack(key, name string, err error) {
	now := time.Now()
	f := &Fault{Account: name, Reason: status.OneLine(err), Since: now, At: now, lack: true}
	if before := t.unwritten.get(key); before != nil {
		f.Since, f.Failures = before.Since, before.Failures
	}
	f.Failures++
	f.Next = now.Add(t.schedule().Backoff(f.Failures))
	t.unwritten.faults.Store(key, f)
}

// Works forgets all faults of a, which is ready for mail, but a limit. Faults of the
// same name are of a server, or a user, that the account had before.
func (t *Throttle) Works(a *config.Account) {
	if t == nil {
		return
	}
	if key := Key(a); t.Limit(key) == nil {
		t.Forget(key)
	}
	if a.File == "" {
		return // its name is that of others, too
	}
	for _, f := range Faults(t.queue) {
		if f.Account == a.Name && !f.Limit {
			t.queue.State.Write(f.file, nil)
		}
	}
}

// Forget removes the fault that has a key.
func (t *Throttle) Forget(key string) {
	if t == nil {
		return
	}
	t.unwritten.faults.Delete(key)
	if t.queue.State.Read(faultPrefix+key) != nil {
		t.queue.State.Write(faultPrefix+key, nil)
	}
}

// ForgetAll removes all faults that are known in the folder of q.
func ForgetAll(q *queue.Queue) {
	for _, f := range Faults(q) {
		q.State.Write(f.file, nil)
	}
}

// TooSoon is the error of a login that was not tried.
type TooSoon struct{ error }

// Unwrap returns the error in words.
func (e *TooSoon) Unwrap() error { return e.error }

// Rest returns a TooSoon if a login of a failed a short while ago: a must not log in
// now, with whatever secret.
func (t *Throttle) Rest(a *config.Account) error {
	if f := t.failedLogin(a); f != nil {
		return f.tooSoon()
	}
	return nil
}

// Refused returns a TooSoon if a login of a with that secret failed a short while
// ago.
func (t *Throttle) Refused(a *config.Account, secret func() (credential.Secret, error)) error {
	f := t.failedLogin(a)
	if f == nil {
		return nil
	}
	s, err := secret()
	if err != nil {
		return err
	}
	if !slices.Contains(f.Hash, hashSecret(s, f.Salt)) {
		return nil
	}
	return f.tooSoon()
}

func (t *Throttle) failedLogin(a *config.Account) *Fault {
	if f := t.Fault(Key(a)); f != nil && f.Login && !t.Due(f) {
		return f
	}
	return nil
}

func (f *Fault) tooSoon() error {
	return &TooSoon{status.AuthFailed.Errorf("%s; no further login before %s", f.Reason, f.Next.Local().Format("15:04:05"))}
}

// Faults returns the faults that are known in the folder of q, for people to see.
func Faults(q *queue.Queue) []*Fault {
	var all []*Fault
	for _, name := range q.State.List() {
		if strings.HasPrefix(name, faultPrefix) {
			if f := readFault(q, name); f != nil {
				all = append(all, f)
			}
		}
	}
	return all
}
