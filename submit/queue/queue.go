// Package queue keeps messages on disk, through crashes, until someone
// finishes them.
//
// A queue is a folder:
//
//	ID.eml     the message, complete; never changes
//	ID.env     the envelope, what has been tried, and when to try again
//	ID.tmp     an envelope being written
//	failed/    pairs that a person must look at
//	account/   states: what is known of each account, and the slots of its sessions
//
//	state               ID.eml  ID.env
//	S1 no entry            -       -
//	S2 being written       +       -     if nobody has its lock: swept
//	S3 queued              +       +
//	S4 never was           -       +     a crash undid the first file only: swept,
//	                                     or on its way to failed/, and brought there
//
//	Add     create and lock ID.eml, write and sync it; write and sync ID.tmp;
//	        rename it to ID.env; sync the folder. The rename takes S2 to S3;
//	        after the last sync the message is queued, and Add may return.
//	        Before it nobody was told.
//	Update  write and sync a new ID.tmp; rename it to ID.env; sync the folder
//	Done    remove ID.env (S3 to S2), then ID.eml; sync the folder
//	Fail    move ID.eml to failed/, then ID.env, and sync after each
//	Retry   Add what is in failed/ under a new ID; then remove it there, as Done
//
// ID is the time in microseconds and 25 random bits, so that names sort by age;
// creating refuses one that exists. The lock (flock) on ID.eml is that of the
// entry: who holds it may deliver, update or remove. Its writer holds it from
// the start. Whoever gets it and then finds no ID.env came too late. An
// envelope ends with the line "end"; one without it, or with anything else that
// cannot be, is named, and kept as it is.
//
// An Update that a crash undoes means that a recipient may get the mail twice,
// never not at all.
//
// Errors: ErrBusy and ErrGone say that an entry cannot be claimed; a Bad names
// an entry that cannot be read; ErrFull that a ceiling was reached. All others
// are the disk's.
package queue

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/state"
)

// The names of files: an ID and one of the endings, in the queue's folder or
// in failed.
const (
	messageEnd   = ".eml"
	envelopeEnd  = ".env"
	temporaryEnd = ".tmp"

	failed      = "failed/"
	stateFolder = "account"
)

// The errors of Claim, Discard and Add that are not the disk's.
var (
	ErrBusy = state.ErrBusy
	ErrGone = errors.New("no such entry")
	ErrFull = errors.New("the queue is full")
)

// A Bad is an entry that cannot be read. It is left as it is.
type Bad struct {
	ID  ID
	Err error
}

func (b *Bad) Error() string { return fmt.Sprintf("queue entry %s: %v", b.ID, b.Err) }
func (b *Bad) Unwrap() error { return b.Err }

// A User is one who has a folder in Shared.
type User = process.User

// A Queue is a folder of entries. Several processes may use one at once.
type Queue struct {
	MaxBytes atomic.Int64  // the ceiling on all messages together; 0 for none
	State    *state.Folder // what the user's processes know of accounts, and their locks
	disk     disk
	path     string

	mu      sync.Mutex
	dropped []*Entry // removed from failed because of its bounds, and not yet returned by TakeDropped
	shares  shares
}

// Changed returns when an entry last came or went, or a state or an entry was
// written to. An error says that the queue's folder is gone.
func (q *Queue) Changed() (time.Time, error) { return q.disk.changed() }

// String returns the queue's folder.
func (q *Queue) String() string { return q.path }

// An ID is the name of an entry, of lower-case letters and digits. IDs sort by
// age.
type ID string

const (
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's
	idLength = 16
)

// NewID returns an ID for an entry made at t. Add gives an entry one that has
// none, or one that is taken.
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

// ParseID reads an ID, which comes from a command line or a folder.
func ParseID(s string) (ID, bool) {
	if len(s) != idLength || strings.Trim(s, idDigits) != "" {
		return "", false
	}
	return ID(s), true
}

// Add puts an entry and its message into the queue. The Size of e is how large
// the message is as far as that is known. When it returns nil, both survive any
// crash, and ID and Size of e are set; when it does not, neither is there.
func (q *Queue) Add(e *Entry, message io.Reader) error {
	c, err := q.AddClaimed(e, message)
	if err == nil {
		c.Release()
	}
	return err
}

// AddClaimed does what Add does, and leaves the entry claimed: nobody else works
// on it while this process does, and a crash leaves it to others.
func (q *Queue) AddClaimed(e *Entry, message io.Reader) (*Claim, error) {
	if err := q.room(e); err != nil {
		return nil, err
	}
	f, err := q.add("", e, message)
	if err != nil {
		return nil, err
	}
	return &Claim{e, q, f}, nil
}

// AddFailed puts an entry and its message among those that a person must look
// at. The Size of e is as for Add.
func (q *Queue) AddFailed(e *Entry, message io.Reader) error {
	if err := q.fits(e.Size); err != nil {
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
	q.trim(e.ID)
	return nil
}

// add makes the files of an entry. With the one that it returns goes the lock.
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
	if err := f.Sync(); err != nil {
		return err
	}
	if n := len(e.marshal()); n > maxRead/2 { // what is said of recipients later has to find room
		return fmt.Errorf("%w: the envelope of %d recipients is too large", ErrFull, len(e.To))
	}
	return q.write(folder, e)
}

// create makes the file of a message that nobody else has or can get.
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
		if locked && q.disk.exists(name) { // nobody has swept it in between
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("no free name in %s", q.path)
}

// write makes e the envelope of its entry.
func (q *Queue) write(folder string, e *Entry) error {
	name := folder + string(e.ID)
	q.disk.remove(name + temporaryEnd) // a crash may have left one
	f, err := q.disk.create(name + temporaryEnd)
	if err != nil {
		return err
	}
	text := e.marshal()
	if len(text) > maxRead { // nobody could read it
		for i := range e.To {
			e.To[i].Reason = ""
		}
		text = e.marshal()
	}
	_, err = f.Write(text)
	if err = cmp.Or(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := q.disk.rename(name+temporaryEnd, name+envelopeEnd); err != nil {
		return err
	}
	return q.disk.sync(folder)
}

// IDs returns the IDs of all entries, the oldest first.
func (q *Queue) IDs() ([]ID, error) { return q.ids("") }

func (q *Queue) ids(folder string) ([]ID, error) {
	names, err := q.disk.list(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []ID
	for _, name := range names {
		text, ok := strings.CutSuffix(name, envelopeEnd)
		if id, isID := ParseID(text); ok && isID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, err
}

// Entries returns all entries, the oldest first, whether somebody is at work
// on them or not; and in their place the errors of those that cannot be read.
// An error that is no Bad ends it.
func (q *Queue) Entries() iter.Seq2[*Entry, error] { return q.entries("") }

func (q *Queue) entries(folder string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		ids, err := q.ids(folder)
		for _, id := range ids {
			e, err := q.read(folder, id)
			if err != ErrGone && !yield(e, err) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Waits reports whether there is an entry that can be read, but for those of a set.
func (q *Queue) Waits(but map[ID]bool) bool {
	for e, err := range q.Entries() {
		if err == nil && !but[e.ID] {
			return true
		}
	}
	return false
}

// Read returns an entry as it is now: ErrGone if there is none, or a Bad.
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

// A Claim is the right to work on an entry, until it is given back by Done,
// Fail or Release, or the process ends.
type Claim struct {
	*Entry
	q    *Queue
	file file
}

// claimRetries is how often seize tries again to lock an entry, a millisecond apart:
// who holds the lock may only be looking whether the entry is busy.
const claimRetries = 3

// Claim makes this process the only one to work on an entry. Its errors are
// ErrBusy, ErrGone, a Bad, and the disk's.
func (q *Queue) Claim(id ID) (*Claim, error) { return q.claim("", id) }

func (q *Queue) claim(folder string, id ID) (*Claim, error) {
	f, err := q.seize(folder, id)
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

// seize takes the lock of an entry that nobody is at work on. With the file goes
// the lock.
func (q *Queue) seize(folder string, id ID) (file, error) {
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

// Busy reports whether somebody is at work on an entry.
func (q *Queue) Busy(id ID) bool {
	f, err := q.disk.open(string(id) + messageEnd)
	if err != nil {
		return false
	}
	defer f.Close()
	locked, err := f.locked()
	return err == nil && locked
}

// Ready tries whether the outcome of an attempt could be written, and returns why
// not: the disk is full, for example, or read-only. An attempt whose outcome cannot
// be written would be made again and again.
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

// How much longer an envelope may get by an attempt, in octets: for each
// recipient, and in all.
const (
	growth    = 1 << 10
	maxGrowth = 1 << 20
)

// Message returns the message, from its start, for as long as the claim is held.
func (c *Claim) Message() *io.SectionReader { return io.NewSectionReader(c.file, 0, c.Size) }

// Update writes back what was changed in the Entry. When it returns nil, that
// survives any crash.
func (c *Claim) Update() error { return c.q.write("", c.Entry) }

// Done removes the entry, every recipient of which is settled. When it returns
// nil, nobody will work on it again.
func (c *Claim) Done() error {
	defer c.Release()
	return c.q.erase("", c.ID)
}

// Fail moves the entry to those that a person must look at. When it returns
// nil, nobody will work on it again.
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
	c.q.trim(c.ID)
	return nil
}

// move brings one file of an entry to failed.
func (q *Queue) move(id ID, end string) error {
	if err := q.disk.rename(string(id)+end, failed+string(id)+end); err != nil {
		return err
	}
	return cmp.Or(q.disk.sync(failed), q.disk.sync(""))
}

// Release gives the claim back; the entry stays as it was last written.
func (c *Claim) Release() { c.file.Close() }

// Files returns an entry as it is on disk: its envelope, and its message, which
// must be closed. It may be that of a Bad, or among those that failed.
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

// Discard removes an entry that nobody is at work on, even one that cannot be
// read.
func (q *Queue) Discard(id ID) error { return q.discard("", id) }
