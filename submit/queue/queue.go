// Package queue keeps messages on disk until a process has sent them or given them up. No
// crash loses a message.
//
// A queue is a folder:
//
//	ID.eml     the message, complete; never changes
//	ID.env     the envelope, the results of the attempts, the time of the next
//	ID.tmp     an envelope that is being written
//	failed/    pairs of ID.eml and ID.env that a person must look at
//	account/   states: what is known of each account, and the slots of its sessions
//
//	state               ID.eml  ID.env
//	S1 no entry            -       -
//	S2 being written       +       -     Sweep removes it if it is not locked
//	S3 queued              +       +
//	S4 broken by a crash   -       +     Sweep removes it; if ID.eml is in failed/
//	                                     already, Sweep moves ID.env there
//
//	Add     create and lock ID.eml, write and sync it; write and sync ID.tmp;
//	        rename it to ID.env; sync the folder. The rename takes S2 to S3.
//	        After the last sync the message is queued, and only then Add
//	        returns nil.
//	Update  write and sync a new ID.tmp; rename it to ID.env; sync the folder
//	Done    remove ID.env (S3 to S2), then ID.eml; sync the folder
//	Fail    move ID.eml to failed/, then ID.env, and sync after each
//	Retry   Add the entry in failed/ under a new ID; then remove it there, as Done
//
// ID is the time in microseconds and 25 random bits, so that names sort by age. An ID that
// exists is not used again. The lock of an entry is the lock (flock) on ID.eml: the process
// that holds it may deliver, update or remove the entry. The writer of the entry holds it
// from the start. A process that gets the lock but finds no ID.env came too late: another
// process has finished the entry. An envelope ends with the line "end". An envelope that
// cannot be parsed is reported as a Bad, and is not changed.
//
// If a crash undoes an Update, a recipient may get the message twice. A crash never
// prevents a message from being sent.
//
// Errors: ErrBusy and ErrGone say that an entry cannot be claimed, a Bad that an entry
// cannot be read, and ErrFull that a ceiling was reached. All other errors are those of
// the disk.
package queue

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/state"
)

// The name of a file is an ID and one of these endings. The file is in the folder of the
// queue, or in failed.
const (
	messageEnd   = ".eml"
	envelopeEnd  = ".env"
	temporaryEnd = ".tmp"

	failed      = "failed/"
	stateFolder = "account"
)

// The errors of Claim, Discard and Add that do not come from the disk.
var (
	ErrBusy = state.ErrBusy
	ErrGone = errors.New("no such entry")
	ErrFull = errors.New("the queue is full")
)

// A Bad is the error of an entry that cannot be read. The entry is not changed.
type Bad struct {
	ID  ID
	Err error
}

func (b *Bad) Error() string { return fmt.Sprintf("queue entry %s: %v", b.ID, b.Err) }
func (b *Bad) Unwrap() error { return b.Err }

// A User is a user who has a folder in Shared.
type User = process.User

// A Queue is a folder of entries. Several processes may use the same folder at once.
type Queue struct {
	MaxBytes atomic.Int64  // the ceiling on all messages together, in octets; 0: none
	State    *state.Folder // what the processes of the user know of accounts, and their locks
	disk     disk
	path     string

	mu      sync.Mutex
	dropped []*Entry // removed by trimFailed, and not yet returned by TakeDropped
	shares  shares
}

// Changed returns when an entry was last added, changed or removed, or a state was
// replaced. An error says that the folder of the queue is gone.
func (q *Queue) Changed() (time.Time, error) { return q.disk.changed() }

// String returns the path of the folder.
func (q *Queue) String() string { return q.path }

// An ID is the name of an entry: lower-case letters and digits. IDs sort by age.
type ID string

const (
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32
	idLength = 16
)

// NewID returns an ID for an entry made at the time t. Add calls it if an entry has no ID,
// or if another entry has its ID.
func NewID(t time.Time) ID {
	var random [4]byte
	rand.Read(random[:])
	id := make([]byte, idLength)
	tail := binary.BigEndian.Uint32(random[:])
	for i := idLength - 1; i >= 11; i-- {
		id[i] = idDigits[tail&31]
		tail >>= 5
	}
	head := uint64(t.UnixMicro())
	for i := 10; i >= 0; i-- {
		id[i] = idDigits[head&31]
		head >>= 5
	}
	return ID(id)
}

// Time returns when the entry was made.
func (id ID) Time() time.Time {
	var head int64
	for i := range min(len(id), 11) {
		head = head<<5 | int64(strings.IndexByte(idDigits, id[i]))
	}
	return time.UnixMicro(head)
}

// ParseID returns s as an ID; false if s is none.
func ParseID(s string) (ID, bool) {
	if len(s) != idLength || strings.Trim(s, idDigits) != "" {
		return "", false
	}
	return ID(s), true
}

// Add puts an entry and its message into the queue. Before, e.Size is the expected size of
// the message, or 0. If Add returns nil, entry and message survive any crash, and e.ID and
// e.Size are set. If Add returns an error, neither is in the queue.
func (q *Queue) Add(e *Entry, message io.Reader) error {
	c, err := q.AddClaimed(e, message)
	if err == nil {
		c.Release()
	}
	return err
}

// AddClaimed is Add and Claim: no other process can claim the entry in between. A crash of
// this process ends the claim.
func (q *Queue) AddClaimed(e *Entry, message io.Reader) (*Claim, error) {
	if err := q.checkRoom(e); err != nil {
		return nil, err
	}
	f, err := q.add("", e, message)
	if err != nil {
		return nil, err
	}
	return &Claim{e, q, f}, nil
}

// AddFailed is Add for an entry that has failed already, and that a person must look at.
func (q *Queue) AddFailed(e *Entry, message io.Reader) error {
	if err := q.checkSize(e.Size); err != nil {
		return err
	}
	if err := q.disk.mkdir(failed); err != nil {
		return err
	}
	f, err := q.add(failed, e, message)
	if err != nil {
		return err
	}
	f.Close()
	q.trimFailed(e.ID)
	return nil
}

// add makes the files of an entry. It returns the open file of the message, which has the
// lock.
func (q *Queue) add(folder string, e *Entry, message io.Reader) (file, error) {
	f, err := q.create(folder, e)
	if err != nil {
		return nil, err
	}
	if err := q.fill(f, folder, e, message); err != nil {
		q.remove(folder, e.ID)
		f.Close()
		return nil, err
	}
	return f, nil
}

func (q *Queue) fill(f file, folder string, e *Entry, message io.Reader) (err error) {
	if e.Size, err = io.Copy(f, message); err != nil {
		return err
	}
	text := e.marshal()
	if len(text) > maxRead/2 { // the reasons of the recipients will need space, too
		return fmt.Errorf("%w: the envelope of %d recipients is too large", ErrFull, len(e.To))
	}
	return q.write(folder, e.ID, text, f)
}

// create makes the file of the message of e, and locks it. If e.ID is empty or taken, it
// gives e a new ID.
func (q *Queue) create(folder string, e *Entry) (file, error) {
	for try := range 100 {
		if e.ID == "" || try > 0 {
			e.ID = NewID(time.Now())
		}
		name := folder + string(e.ID) + messageEnd
		f, err := q.disk.create(name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		locked, err := f.lock()
		if err != nil {
			f.Close()
			q.disk.remove(name)
			return nil, err
		}
		if locked && q.disk.exists(name) { // no Sweep has removed the file before it was locked
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("no free name in %s", q.path)
}

// write writes the envelope text of an entry to disk, after all of the file message; nil:
// the message is there already.
func (q *Queue) write(folder string, id ID, text []byte, message file) error {
	name := folder + string(id)
	q.disk.remove(name + temporaryEnd) // a crash may have left the file
	f, err := q.disk.create(name + temporaryEnd)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = cmp.Or(err, q.disk.syncFiles(f, message), f.Close()); err != nil {
		return err
	}
	if err := q.disk.rename(name+temporaryEnd, name+envelopeEnd); err != nil {
		return err
	}
	return q.disk.sync(folder)
}

// Read returns an entry as it is now. Its errors are ErrGone and Bad.
func (q *Queue) Read(id ID) (*Entry, error) { return q.read("", id) }

func (q *Queue) read(folder string, id ID) (*Entry, error) {
	text, err := q.disk.read(folder + string(id) + envelopeEnd)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err == nil {
		var e *Entry
		if e, err = unmarshal(id, text); err == nil && len(e.To) == 0 && folder != failed {
			err = errors.New("it has no recipient")
		}
		if err == nil {
			return e, nil
		}
	}
	return nil, &Bad{id, err}
}

// A Claim is the exclusive right of this process to work on an entry. It ends with Done,
// Fail or Release, or with the process.
type Claim struct {
	*Entry
	q    *Queue
	file file
}

// claimRetries is how often lock tries again, with a millisecond between: the lock may be
// held for a moment only, by Busy in another process.
const claimRetries = 3

// Claim makes this process the only one that works on an entry. Its errors are ErrBusy,
// ErrGone, Bad, and those of the disk.
func (q *Queue) Claim(id ID) (*Claim, error) { return q.claim("", id) }

func (q *Queue) claim(folder string, id ID) (*Claim, error) {
	f, err := q.lock(folder, id)
	if err != nil {
		return nil, err
	}
	e, err := q.read(folder, id)
	if err == nil {
		if size := q.disk.size(folder + string(id) + messageEnd); size != e.Size {
			err = &Bad{id, fmt.Errorf("its message has %d octets instead of %d", size, e.Size)}
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Claim{e, q, f}, nil
}

// lock locks an entry. It returns the open file of the message, which has the lock. Its
// errors are those of Claim.
func (q *Queue) lock(folder string, id ID) (file, error) {
	f, err := q.disk.open(folder + string(id) + messageEnd)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, &Bad{id, err}
	}
	locked, err := f.lock()
	for try := 0; err == nil && !locked && try < claimRetries; try++ {
		time.Sleep(time.Millisecond)
		locked, err = f.lock()
	}
	switch {
	case err != nil:
	case !locked:
		err = ErrBusy
	case !q.disk.exists(folder + string(id) + envelopeEnd):
		err = ErrGone
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// Busy reports whether an entry is claimed, by this or another process.
func (q *Queue) Busy(id ID) bool {
	f, err := q.disk.open(string(id) + messageEnd)
	if err != nil {
		return false
	}
	defer f.Close()
	locked, err := f.locked()
	return err == nil && locked
}

// Ready must be called before an attempt. It tries whether the result of the attempt could
// be written, and returns an error if not, because the disk is full or read-only, for
// example. Without the result, the message would be sent again and again.
func (c *Claim) Ready() error {
	name := string(c.ID) + temporaryEnd
	if err := c.q.disk.remove(name); err != nil {
		return err
	}
	f, err := c.q.disk.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(append(c.marshal(), make([]byte, min(maxGrowth, growth*len(c.To)))...))
	return cmp.Or(err, f.Close(), c.q.disk.remove(name))
}

// The octets by which Ready expects an attempt to make the envelope longer.
const (
	growth    = 1 << 10 // for each recipient
	maxGrowth = 1 << 20 // for all recipients
)

// Message returns the message from its start. It can be read until the claim ends.
func (c *Claim) Message() *io.SectionReader { return io.NewSectionReader(c.file, 0, c.Size) }

// Update writes the changed Entry to disk. If it returns nil, the changes survive any
// crash.
func (c *Claim) Update() error {
	text := c.marshal()
	if len(text) > maxRead { // it could not be read again
		for i := range c.To {
			c.To[i].Reason = ""
		}
		text = c.marshal()
	}
	return c.q.write("", c.ID, text, nil)
}

// Done removes the entry, after all its recipients are settled, and ends the claim. If it
// returns nil, no process will work on the entry again.
func (c *Claim) Done() error {
	defer c.Release()
	return c.q.erase("", c.ID)
}

// Fail moves the entry to the failed ones, which a person must look at, and ends the
// claim. If it returns nil, no process will work on the entry again.
func (c *Claim) Fail() error {
	defer c.Release()
	if err := c.q.disk.mkdir(failed); err != nil {
		return err
	}
	for _, end := range [...]string{messageEnd, envelopeEnd} {
		if err := c.q.move(c.ID, end); err != nil {
			return err
		}
	}
	c.q.trimFailed(c.ID)
	return nil
}

// move moves the file of an entry with the ending end to failed.
func (q *Queue) move(id ID, end string) error {
	if err := q.disk.rename(string(id)+end, failed+string(id)+end); err != nil {
		return err
	}
	return cmp.Or(q.disk.sync(failed), q.disk.sync(""))
}

// Release ends the claim. On disk the entry stays as the last Update left it.
func (c *Claim) Release() { c.file.Close() }

// Files returns the two files of an entry, also of a failed one, or of one that cannot be
// parsed. The caller must close message.
func (q *Queue) Files(id ID) (envelope []byte, message io.ReadCloser, err error) {
	for _, folder := range [...]string{"", failed} {
		f, err := q.disk.open(folder + string(id) + messageEnd)
		if err != nil {
			continue
		}
		text, err := q.disk.read(folder + string(id) + envelopeEnd)
		if err != nil {
			f.Close()
			continue
		}
		return text, struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(f, 0, 1<<62), f}, nil
	}
	return nil, nil, ErrGone
}

// Discard removes an entry that is not claimed, even if it cannot be read.
func (q *Queue) Discard(id ID) error { return q.discard("", id) }
