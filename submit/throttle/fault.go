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
//	a login failed    before Next, only a person at a terminal or a process with
//	                  another secret tries again
//	a limit was met   all processes wait, as limit.go says
//	anything else     runs of the queue wait until Next
//
// A limit is forgotten when the server takes a message; any other fault when a session
// is ready for mail, even if the account has another server or user by then.
type Fault struct {
	Account  string // the account's name; "": the configuration cannot be loaded
	Login    bool   // a login failed
	Limit    bool   // the account has met a limit of its provider
	Reason   string // in words, on one line
	Code     status.Code
	Failures int       // how many attempts in a row have failed
	Since    time.Time // when the first of them failed
	At       time.Time // when the last of them failed
	Next     time.Time // no attempt before this time

	Tries []time.Time // some of the attempts, for queue.Schedule.TooOld

	MetBy []string // the IDs of the messages that met the limit; nil once it is more than suspected
	Salt  string   // for hashSecret
	Hash  []string // what hashSecret returns for the secrets that failed

	lack bool   // this process lacks a secret that another process may have (Unwritten.Lack); never in a file
	file string // the name of the file that the fault was read from; "": none
}

// faultPrefix begins the names of the files of faults.
const faultPrefix = "fault-"

// readFault returns the fault in a file; nil: the file does not exist or has no fault.
func readFault(q *queue.Queue, name string) *Fault {
	f := &Fault{file: name}
	if err := json.Unmarshal(q.State.Read(name), f); err != nil {
		return nil
	}
	return f
}

// writeJSON has write store v in JSON as the text of a file.
func writeJSON(write func(name string, text []byte) error, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(name, text)
}

// iterations is how often a hash is repeated, so that one guess at a secret takes some
// 30 ms.
const iterations = 100_000

// hashSecret returns a slow, salted hash of secret, in hexadecimal digits.
func hashSecret(secret credential.Secret, salt string) string {
	hash, err := pbkdf2.Key(sha256.New, secret.Reveal(), []byte(salt), iterations, sha256.Size)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(hash)
}

// maxHashes is how many secrets that failed are remembered, because each process may
// have another one.
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

// Due reports whether an account with the fault f may be tried now.
func (t *Throttle) Due(f *Fault) bool { return t.schedule().Due(f.At, f.Next) }

// Fault returns the fault of the account with that key; nil: it has none.
func (t *Throttle) Fault(key string) *Fault {
	if t == nil {
		return nil
	}
	f := readFault(t.queue, faultPrefix+key)
	if unwritten := t.unwritten.get(key); unwritten != nil && (f == nil || unwritten.At.After(f.At)) {
		return unwritten
	}
	return f
}

// setFault writes the fault of an account to the disk, or else keeps it in Unwritten.
func (t *Throttle) setFault(key string, f *Fault) error {
	if err := writeJSON(t.queue.State.Write, faultPrefix+key, f); err != nil {
		t.unwritten.faults.Store(key, f)
		return fmt.Errorf("account %s: %w", f.Account, err)
	}
	t.unwritten.faults.Delete(key)
	return nil
}

// Note notes as a fault that no session could be opened with an account. key is the
// account's Key, or a KeyOf; name is its name. secret is the secret that the server
// refused; nil: the login did not fail. The wait grows only if the failed attempt was
// due, or a login failed, because some callers do not wait. The error is the disk's.
func (t *Throttle) Note(key, name string, err error, secret *credential.Secret) error {
	if t == nil {
		return nil
	}
	if secret == nil && errors.As(err, new(credential.Lacking)) && !t.unwritten.Serves {
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
	case f.Login && !due: // after a failed login, another fault does not shorten the wait
		return t.setFault(key, f)
	default:
		f.Salt, f.Hash = "", nil
	}
	if due || secret != nil {
		f.Failures++
		f.Next = now.Add(t.schedule().Backoff(f.Failures))
	}
	f.Login = secret != nil
	f.setReason(err)
	return t.setFault(key, f)
}

func (f *Fault) setReason(err error) { f.Reason, f.Code = status.OneLine(err), status.Of(err) }

// Hint returns what a person can do about f; "" if nothing is known.
func (f *Fault) Hint() string {
	err := status.Recall(f.Code, f.Reason)
	if f.Login {
		err = status.AuthFailed.With(f.Code, err)
	}
	return status.HintFor(err, config.NameInFile(f.Account), "")
}

// noteLack remembers, for this process only, that it lacks something which another
// process may have: that is no fault of the account.
func (t *Throttle) noteLack(key, name string, err error) {
	now := time.Now()
	f := &Fault{Account: name, Since: now, At: now, lack: true}
	f.setReason(err)
	if before := t.unwritten.get(key); before != nil {
		f.Since, f.Failures = before.Since, before.Failures
	}
	f.Failures++
	f.Next = now.Add(t.schedule().Backoff(f.Failures))
	t.unwritten.faults.Store(key, f)
}

// Works forgets all faults of a except a limit, because a session was ready for mail.
// It also forgets the faults that the account a had with other servers or users.
func (t *Throttle) Works(a *config.Account) {
	if t == nil {
		return
	}
	if key := Key(a); t.Limit(key) == nil {
		t.Forget(key)
	}
	if a.File == "" {
		return // the account is of the command line: other accounts have the same name
	}
	for _, f := range Faults(t.queue) {
		if f.Account == a.Name && !f.Limit {
			t.queue.State.Write(f.file, nil)
		}
	}
}

// Forget removes the fault of the account with that key.
func (t *Throttle) Forget(key string) {
	if t == nil {
		return
	}
	t.unwritten.faults.Delete(key)
	if t.queue.State.Read(faultPrefix+key) != nil {
		t.queue.State.Write(faultPrefix+key, nil)
	}
}

// Allow lets accounts whose login failed log in again at once, because a person wants it.
func (t *Throttle) Allow() {
	if t == nil {
		return
	}
	for _, f := range Faults(t.queue) {
		if f.Login {
			f.Next = time.Now()
			writeJSON(t.queue.State.Write, f.file, f) // if the disk does not take it, the account waits
		}
	}
}

// ForgetAll removes all faults that the folder of q has.
func ForgetAll(q *queue.Queue) {
	for _, f := range Faults(q) {
		q.State.Write(f.file, nil)
	}
}

// TooSoon is the error of a login that was not tried, because one failed a short while
// ago.
type TooSoon struct{ error }

// Unwrap returns the error of that login, of kind AuthFailed.
func (e *TooSoon) Unwrap() error { return e.error }

// Rest returns a TooSoon if a must not log in now, with any secret, because a login of
// a failed a short while ago.
func (t *Throttle) Rest(a *config.Account) error {
	if f := t.failedLogin(a); f != nil {
		return f.tooSoon()
	}
	return nil
}

// Refused returns a TooSoon if a login of a with that secret failed a short while ago,
// or the error of secret, which it calls only if any login of a failed.
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

// failedLogin returns the fault of a if a login failed and Next is not over; else nil.
func (t *Throttle) failedLogin(a *config.Account) *Fault {
	if f := t.Fault(Key(a)); f != nil && f.Login && !t.Due(f) {
		return f
	}
	return nil
}

func (f *Fault) tooSoon() error {
	return &TooSoon{status.AuthFailed.Errorf("%s; no further login before %s", f.Reason, f.Next.Local().Format("15:04:05"))}
}

// Faults returns all faults that the folder of q has.
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
