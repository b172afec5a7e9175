package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// openTest opens a new queue on the real disk.
func openTest(t *testing.T) *Queue {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no queue on this system")
	}
	q, err := Open(filepath.Join(t.TempDir(), "state", "sendoff"), os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	q := openTest(t)
	var want []ID
	for range 3 {
		e := testEntry(t, "b@example.org")
		if err := q.Add(e, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ID)
	}
	if ids, err := q.IDs(); err != nil || !slices.Equal(ids, want) {
		t.Fatalf("%v %v, want %v", ids, err, want)
	}
	c, err := q.Claim(want[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Claim(want[0]); !errors.Is(err, ErrBusy) || !q.Busy(want[0]) || q.Busy(want[1]) {
		t.Errorf("a second claim: %v", err)
	}
	if text, err := io.ReadAll(c.Message()); string(text) != content || err != nil {
		t.Errorf("%q %v", text, err)
	}
	c.Attempts = 7
	if err := c.Update(); err != nil {
		t.Fatal(err)
	}
	c.Release()
	if e, err := q.Read(want[0]); err != nil || e.Attempts != 7 || e.Size != int64(len(content)) {
		t.Errorf("%+v %v", e, err)
	}
	if c, err = q.Claim(want[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.Done(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Claim(want[0]); !errors.Is(err, ErrGone) {
		t.Errorf("after Done: %v", err)
	}
	if c, err = q.Claim(want[1]); err != nil {
		t.Fatal(err)
	}
	if err := c.Fail(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{messageEnd, envelopeEnd} {
		info, err := os.Stat(filepath.Join(q.path, failed, string(want[1])+end))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
	}
	if ids, _ := q.IDs(); !slices.Equal(ids, want[2:]) {
		t.Errorf("%v, want %v", ids, want[2:])
	}
}

// TestClaimOnce checks that an entry is claimed once, even if many claim it together.
func TestClaimOnce(t *testing.T) {
	q := openTest(t)
	for range 20 {
		if err := q.Add(testEntry(t, "b@example.org"), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	ids, _ := q.IDs()
	var mu sync.Mutex
	var finished []ID
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, id := range ids {
				c, err := q.Claim(id)
				if err != nil {
					if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrGone) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				finished = append(finished, id)
				mu.Unlock()
				if err := c.Done(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	slices.Sort(finished)
	if !slices.Equal(finished, ids) {
		t.Errorf("finished %d, want each of %d once", len(finished), len(ids))
	}
	if names, _ := q.names(""); len(names) > 1 {
		t.Errorf("left: %q", names)
	}
}

// TestNeverWas checks that an entry without an envelope cannot be discarded or retried: a
// crash has interrupted an Add or a Done.
func TestNeverWas(t *testing.T) {
	q := openTest(t)
	id := NewID(time.Now())
	if err := os.Mkdir(filepath.Join(q.path, failed), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", failed} {
		if err := os.WriteFile(filepath.Join(q.path, folder, string(id)+messageEnd), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, retried := q.Retry(id)
	_, claimed := q.Claim(id)
	for what, err := range map[string]error{"Discard": q.Discard(id), "DiscardFailed": q.DiscardFailed(id), "Retry": retried, "Claim": claimed} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v, want %v", what, err, ErrGone)
		}
	}
	if q.Busy(id) {
		t.Error("the lock was kept")
	}
}

// looked is a disk on which the lock of an entry cannot be taken so many times, as if
// another process called Busy at the same moment.
type looked struct {
	disk
	times int
}

func (d *looked) open(name string) (file, error) {
	f, err := d.disk.open(name)
	return lookedAt{f, d}, err
}

type lookedAt struct {
	file
	disk *looked
}

func (f lookedAt) lock() (bool, error) {
	if f.disk.times--; f.disk.times >= 0 {
		return false, nil
	}
	return f.file.lock()
}

// TestClaimLookedAt checks that Claim succeeds while another process calls Busy, but gives
// up after claimRetries.
func TestClaimLookedAt(t *testing.T) {
	q := openTest(t)
	e := testEntry(t, "b@example.org")
	if err := q.Add(e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	for times, want := range []error{nil, nil, nil, nil, ErrBusy} {
		c, err := (&Queue{disk: &looked{q.disk, times}, path: q.path}).Claim(e.ID)
		if err != want {
			t.Errorf("looked at %d times: %v, want %v", times, err, want)
		}
		if err == nil {
			c.Release()
		}
	}
}

// TestBad checks that an entry that cannot be read is reported and kept, and that the
// other entries are still read.
func TestBad(t *testing.T) {
	q := openTest(t)
	for range 2 {
		if err := q.Add(testEntry(t, "b@example.org"), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	ids, _ := q.IDs()
	path := filepath.Join(q.path, string(ids[0])+envelopeEnd)
	for _, text := range []string{"", "end\n", "size 3\nto <b@example.org>\n", "to <b@example.org>\nsize x\nend\n", "notify FAILURE\nend\n", "to <a b>\nend\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var good []ID
		var bad *Bad
		for e, err := range q.Entries() {
			if err == nil {
				good = append(good, e.ID)
			} else if !errors.As(err, &bad) || bad.ID != ids[0] {
				t.Errorf("%q: %v", text, err)
			}
		}
		if bad == nil || !slices.Equal(good, ids[1:]) {
			t.Errorf("%q: %v, good are %v", text, bad, good)
		}
		if _, err := q.Claim(ids[0]); !errors.As(err, &bad) {
			t.Errorf("%q: claimed: %v", text, err)
		}
		if err := q.Sweep(); err != nil || !q.disk.exists(string(ids[0])+messageEnd) || !q.disk.exists(string(ids[0])+envelopeEnd) {
			t.Errorf("%q: swept (%v)", text, err)
		}
	}
}

// TestSweepLeavesWriters checks that Sweep leaves an entry that is being written.
func TestSweepLeavesWriters(t *testing.T) {
	q := openTest(t)
	r, w := io.Pipe()
	e := testEntry(t, "b@example.org")
	done := make(chan error)
	go func() { done <- q.Add(e, r) }()
	io.WriteString(w, content)
	if err := q.Sweep(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c, err := q.Claim(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(c.Message()); string(text) != content {
		t.Errorf("%q", text)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	sender, _ := envelope.Parse("ann@example.org")
	odd, err := envelope.Parse(`"john doe"@example.org`)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Round(0)
	e := &Entry{
		ID: NewID(now), Size: 12, Sender: &sender, Author: &odd, FullName: "\"quoted\" \t Ünï\nend", MessageID: "<x@y>",
		Body: envelope.Body8BitMIME, Return: envelope.ReturnHeaders, Envelope: "id 1", TLS: true,
		Account:  []string{"name=work", "server=smtps://h:1", "from=a\tb"},
		Attempts: 3, Tried: now, Tries: []time.Time{now.Add(-time.Hour), now}, Next: now.Add(time.Hour), Reason: "connect to h:1: refused", Unknown: true, Notice: now,
		To: []Recipient{
			{Recipient: envelope.Recipient{Address: odd, Notify: envelope.NotifyFailure | envelope.NotifyDelay, Original: "x y"}, NoAliases: true},
			{Recipient: envelope.Recipient{Address: sender, Notify: envelope.NotifyNever}, Refused: true, Code: status.Code{Class: 5, Subject: 1, Detail: 1}, Reason: "550 5.1.1 no"},
			{Recipient: envelope.Recipient{Address: sender}, Code: status.Code{Class: 4}, Reason: "451 later"},
		},
		extra: []string{"later thing", "bare"},
	}
	again, err := unmarshal(e.ID, e.marshal())
	if err != nil || !reflect.DeepEqual(again, e) {
		t.Errorf("%v\n%s\n got %+v\nwant %+v", err, e.marshal(), again, e)
	}
	if n := e.Waiting(); n != 2 {
		t.Errorf("%d are waiting", n)
	}
	if got := e.ID.Time(); got.Sub(now).Abs() > time.Microsecond {
		t.Errorf("made %v, want %v", got, now)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("size 3\nsender <>\nto <b@example.org>\nnotify NEVER\nrefused 5.1.1 no\nlater x\nend\n")
	f.Add("account \"a\\nb\"\nto b\nend\n")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := unmarshal("0123456789abcdef", []byte(text))
		if err != nil {
			return
		}
		written := e.marshal()
		again, err := unmarshal(e.ID, written)
		if err != nil {
			t.Fatalf("%v: %q", err, written)
		}
		if string(again.marshal()) != string(written) {
			t.Errorf("%q became %q", written, again.marshal())
		}
	})
}

func TestParseID(t *testing.T) {
	if id, ok := ParseID(string(NewID(time.Now()))); !ok {
		t.Errorf("%q is no ID", id)
	}
	for _, s := range []string{"", "0", "../../etc/passwd", "0123456789abcdeF", "0123456789abcde/", "0123456789abcdefg", "ALL"} {
		if _, ok := ParseID(s); ok {
			t.Errorf("%q is an ID", s)
		}
	}
	early, late := NewID(time.UnixMicro(1)), NewID(time.Now().AddDate(200, 0, 0))
	if now := NewID(time.Now()); early > now || now > late {
		t.Errorf("%s, %s and %s are out of order", early, now, late)
	}
}

func TestCeilings(t *testing.T) {
	q := openTest(t)
	q.MaxBytes.Store(60)
	var err error
	for n := 0; err == nil && n < 10; n++ {
		q.State.Write(usageFile, nil) // so that the queue is counted again
		e := testEntry(t, "b@example.org")
		e.Size = int64(len(content))
		err = q.Add(e, strings.NewReader(content))
	}
	if ids, _ := q.IDs(); !errors.Is(err, ErrFull) || len(ids) != 2 {
		t.Errorf("%v, %d entries", err, len(ids))
	}
	full := &Queue{disk: small{newModel()}}
	if err := full.Add(testEntry(t, "b@example.org"), strings.NewReader(content)); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
}

// TestShares checks that a client that fills the queue leaves room for other clients, for
// root, and for the owner of the queue.
func TestShares(t *testing.T) {
	q := openTest(t)
	q.MaxBytes.Store(100 * int64(len(content)))
	add := func(client *int) error {
		q.State.Write(usageFile, nil) // so that the queue is counted again
		e := testEntry(t, "b@example.org")
		e.Size, e.Client = int64(len(content)), client
		return q.Add(e, strings.NewReader(content))
	}
	mallory, victim, root, subordinate := 1000, 1001, 0, 200000
	defer func(old func(int) int) { countedAs = old }(countedAs)
	countedAs = func(uid int) int { // as if mallory had subordinate uids
		if uid >= subordinate {
			return -1
		}
		return uid
	}
	n := 0
	for err := error(nil); err == nil && n < 100; n++ {
		err = add(&mallory)
	}
	if n != 51 { // before the 51st message, half of the queue is used
		t.Errorf("a client is refused at message %d", n)
	}
	if ids, _ := q.IDs(); len(ids) != 50 {
		t.Errorf("%d entries", len(ids))
	}
	for name, client := range map[string]*int{"another client": &victim, "root": &root, "the owner": nil} {
		if err := add(client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := add(&mallory); !errors.Is(err, ErrFull) {
		t.Errorf("the client that has filled the queue: %v", err)
	}
	q.shares.at = q.shares.at.Add(-countValid) // a new count has the same result
	if err := add(&mallory); !errors.Is(err, ErrFull) {
		t.Errorf("counted anew: %v", err)
	}
	n = 0
	for err := error(nil); err == nil && n < 100; n++ {
		err = add(&victim)
	}
	if n != 25 { // its share is 25, and one message was in the queue before
		t.Errorf("another client is refused at its message %d", n+1)
	}
	q = openTest(t)
	q.MaxBytes.Store(100 * int64(len(content)))
	n = 0
	for uid := subordinate; uid < subordinate+100 && add(&uid) == nil; uid++ {
		n++
	}
	if n != 50 {
		t.Errorf("users whom nobody knows have %d entries", n)
	}
	q = openTest(t)
	q.MaxBytes.Store(100 * int64(len(content)))
	for n := range 100 {
		if err := add(&root); err != nil {
			t.Fatalf("root is refused at message %d: %v", n+1, err)
		}
	}
}

// TestBurst checks that many quick Adds cannot exceed the ceilings: the entries that were
// added since the last count are counted, too.
func TestBurst(t *testing.T) {
	defer func(old func(int) int) { countedAs = old }(countedAs)
	countedAs = func(uid int) int { return uid }
	q := openTest(t)
	q.MaxBytes.Store(100 * int64(len(content)))
	mallory, victim := 1000, 1001
	n := 0
	for err := error(nil); err == nil && n < 200; n++ {
		e := testEntry(t, "b@example.org")
		e.Size, e.Client = int64(len(content)), &mallory
		err = q.Add(e, strings.NewReader(content))
	}
	e := testEntry(t, "b@example.org")
	e.Size, e.Client = int64(len(content)), &victim
	if err := q.Add(e, strings.NewReader(content)); err != nil || n != 51 {
		t.Errorf("a burst is refused at message %d; another client's: %v", n, err)
	}
}

type small struct{ *model }

func (small) space() (free, total int64) { return 1 << 20, 1 << 30 }

func TestFailedIsBounded(t *testing.T) {
	q := openTest(t)
	if err := q.AddFailed(testEntry(t, "b@example.org"), strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	write := func(id ID, end string) {
		if err := os.WriteFile(filepath.Join(q.path, failed, string(id)+end), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := NewID(time.Now().Add(-maxAge - time.Hour))
	write(old, messageEnd)
	for range maxFailed {
		write(NewID(time.Now()), envelopeEnd)
	}
	if err := q.Sweep(); err != nil {
		t.Fatal(err)
	}
	dropped := q.TakeDropped() // two entries, because their files may have the same time
	if !slices.ContainsFunc(dropped, func(e *Entry) bool { return e.ID == old }) || len(dropped) != 2 || len(q.TakeDropped()) != 0 {
		t.Errorf("dropped: %v", dropped)
	}
	names, _ := q.names(failed)
	if len(names) != maxFailed || slices.Contains(names, string(old)+messageEnd) {
		t.Errorf("%d files are left", len(names))
	}
}

func TestState(t *testing.T) {
	q := openTest(t)
	if text := q.State.Read("work"); text != nil {
		t.Errorf("%q", text)
	}
	if err := q.State.Write("work", []byte("down\n")); err != nil {
		t.Fatal(err)
	}
	if text := q.State.Read("work"); string(text) != "down\n" || !slices.Equal(q.State.List(), []string{"work"}) {
		t.Errorf("%q %q", text, q.State.List())
	}
	if err := q.State.Write("work", nil); err != nil || q.State.Read("work") != nil {
		t.Errorf("%v %q", err, q.State.Read("work"))
	}
	if err := q.State.Overwrite("work", []byte("a line\n")); err != nil || string(q.State.Read("work")) != "a line\n" {
		t.Errorf("%v %q", err, q.State.Read("work"))
	}
	before, err := q.Changed()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.State.Overwrite("work", []byte("short\n")); err != nil || string(q.State.Read("work")) != "short\n" {
		t.Errorf("%v %q", err, q.State.Read("work"))
	}
	if after, err := q.Changed(); err != nil || after != before {
		t.Errorf("a note has changed the queue: %v, %v", after.Sub(before), err)
	}
	release, err := q.State.Lock("slot")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.State.Lock("slot"); !errors.Is(err, ErrBusy) {
		t.Errorf("locked twice: %v", err)
	}
	release()
	if release, err = q.State.Lock("slot"); err != nil {
		t.Fatal(err)
	}
	release()
}

// TestSweepStates checks that Sweep removes locks and states that were not used for long,
// except held locks and the states of the queue itself.
func TestSweepStates(t *testing.T) {
	q := openTest(t)
	old := time.Now().Add(-30 * 24 * time.Hour)
	for _, name := range []string{"slot-old-0", "slot-held-0", "slot-new-0", "runner"} {
		release, err := q.State.Lock(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "slot-held-0" {
			defer release()
			continue
		}
		release()
	}
	for _, name := range []string{"fault-old", "fault-new", "heartbeat"} {
		if err := q.State.Write(name, []byte("x end\n")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"slot-old-0", "slot-held-0", "runner", "fault-old", "heartbeat"} {
		if err := os.Chtimes(filepath.Join(q.path, stateFolder, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Sweep(); err != nil {
		t.Fatal(err)
	}
	want := []string{"fault-new", "heartbeat", "runner", "slot-held-0", "slot-new-0"}
	names := q.State.List()
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("left: %q, want %q", names, want)
	}
	if _, err := q.State.Lock("slot-held-0"); !errors.Is(err, ErrBusy) {
		t.Errorf("a lock that somebody has: %v", err)
	}
}

// TestTruncated checks that a message that became shorter is reported and kept.
func TestTruncated(t *testing.T) {
	q := openTest(t)
	e := testEntry(t, "b@example.org")
	if err := q.Add(e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(q.path, string(e.ID)+messageEnd), 3); err != nil {
		t.Fatal(err)
	}
	bad := new(Bad)
	if _, err := q.Claim(e.ID); !errors.As(err, &bad) || bad.ID != e.ID {
		t.Errorf("claimed: %v", err)
	}
	if err := q.Sweep(); err != nil {
		t.Fatal(err)
	}
	if ids, _ := q.IDs(); len(ids) != 1 {
		t.Error("it is gone")
	}
}

// TestFailedOctets checks that the failed entries together are limited by MaxBytes, and that
// those that failed first are removed, not those that were queued first.
func TestFailedOctets(t *testing.T) {
	q := openTest(t)
	q.MaxBytes.Store(600)
	add := func(born time.Time) *Entry {
		e := testEntry(t, "b@example.org")
		e.ID = NewID(born)
		if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := add(time.Now())
	if err := os.Chtimes(filepath.Join(q.path, failed, string(first.ID)+envelopeEnd), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(q.path, failed, string(first.ID)+messageEnd), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	var last *Entry
	for range 10 {
		last = add(time.Now().Add(-2 * maxAge)) // queued long ago
	}
	names, _ := q.names(failed)
	if slices.Contains(names, string(first.ID)+messageEnd) || !slices.Contains(names, string(last.ID)+messageEnd) {
		t.Errorf("left: %q", names)
	}
	octets := int64(0)
	for _, name := range names {
		octets += q.disk.size(failed + name)
	}
	if octets > q.MaxBytes.Load() {
		t.Errorf("%d octets", octets)
	}
	e := testEntry(t, "b@example.org")
	e.Size = q.MaxBytes.Load() + 1
	if err := q.AddFailed(e, strings.NewReader(content)); !errors.Is(err, ErrFull) {
		t.Errorf("too large: %v", err)
	}
}

// TestLargeEnvelope checks that an envelope can always be read again: Add refuses one that
// is too large, and long reasons of recipients are dropped.
func TestLargeEnvelope(t *testing.T) {
	q := openTest(t)
	long := strings.Repeat("x", 400)
	e := testEntry(t, "b@example.org")
	for len(e.To) < maxRead/2/len(long) {
		e.To = append(e.To, e.To[0])
		e.To[len(e.To)-1].Original = long
	}
	if err := q.Add(e, strings.NewReader(content)); !errors.Is(err, ErrFull) {
		t.Errorf("too large: %v", err)
	}
	e.To = e.To[:len(e.To)*8/10]
	if err := q.Add(e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	c, err := q.Claim(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.To {
		c.To[i].Code, c.To[i].Reason = status.Code{Class: 4}, strings.Repeat("y", 600)
	}
	if err := c.Update(); err != nil {
		t.Fatal(err)
	}
	if again, err := q.Read(e.ID); err != nil || len(again.To) != len(e.To) || again.To[0].Code.Class != 4 {
		t.Errorf("after an attempt: %v", err)
	}
}

// TestFailed lists the failed entries, retries one as a new entry, and discards another.
func TestFailed(t *testing.T) {
	q := openTest(t)
	if err := q.DiscardFailed(NewID(time.Now())); !errors.Is(err, ErrGone) {
		t.Errorf("where nothing has failed: %v", err)
	}
	var ids []ID
	for range 3 {
		e := testEntry(t, "b@example.org", "c@example.org")
		sender := e.To[1].Address
		e.Sender, e.Notice, e.Tried, e.Attempts, e.Unknown = &sender, time.Now(), time.Now(), 7, true
		e.To[0].NoAliases, e.To[0].Refused, e.To[0].Reason, e.To[0].Code = true, true, "550 no", status.Code{Class: 5}
		if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	listed := func() (got []ID) {
		for e, err := range q.Failed() {
			if err != nil || time.Since(q.FailedAt(e.ID)) > time.Minute {
				t.Errorf("%+v, %v", e, err)
			}
			got = append(got, e.ID)
		}
		return got
	}
	if got := listed(); !slices.Equal(got, ids) {
		t.Errorf("%v, want %v", got, ids)
	}
	e, err := q.Retry(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	want := testEntry(t, "b@example.org", "c@example.org")
	want.ID, want.Size, want.Sender, want.Unknown, want.Next = e.ID, int64(len(content)), &want.To[1].Address, true, e.Next
	want.To[0].NoAliases = true
	if !reflect.DeepEqual(e, want) || e.ID == ids[0] || time.Since(e.Next) > time.Minute {
		t.Errorf("%+v, want %+v", e, want)
	}
	c, err := q.Claim(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c.Message()); string(text) != content || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	c.Release()
	if _, err := q.Retry(ids[0]); !errors.Is(err, ErrGone) {
		t.Errorf("a second time: %v", err)
	}
	f, err := q.lock(failed, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Retry(ids[1]); !errors.Is(err, ErrBusy) {
		t.Errorf("while somebody is at it: %v", err)
	}
	f.Close()
	if err := q.DiscardFailed(ids[1]); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(filepath.Join(q.path, failed, string(ids[2])+messageEnd), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Retry(ids[2]); !errors.As(err, new(*Bad)) {
		t.Errorf("a part of a message: %v", err)
	}
	if got := listed(); !slices.Equal(got, ids[2:]) {
		t.Errorf("%v, want %v", got, ids[2:])
	}
	if err := os.Remove(filepath.Join(q.path, failed, string(ids[2])+messageEnd)); err != nil {
		t.Fatal(err)
	}
	if err := q.DiscardFailed(ids[2]); err != nil || len(listed()) > 0 {
		t.Errorf("without a message: %v, listed are %v", err, listed())
	}
	if got, _ := q.IDs(); !slices.Equal(got, []ID{e.ID}) {
		t.Errorf("%v wait", got)
	}
}

// TestNobody checks that an entry that was refused before it had a recipient is kept for a
// person, and cannot be retried.
func TestNobody(t *testing.T) {
	q := openTest(t)
	e := testEntry(t)
	e.Reason = "no recipients"
	if err := q.AddFailed(e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	for f, err := range q.Failed() {
		if err != nil || f.Reason != e.Reason || len(f.To) != 0 {
			t.Errorf("%+v %v", f, err)
		}
	}
	if again, err := q.Retry(e.ID); again != nil || !errors.Is(err, errNoRecipient) {
		t.Errorf("%+v %v", again, err)
	}
	if err := q.DiscardFailed(e.ID); err != nil {
		t.Error(err)
	}
	w := testEntry(t)
	if err := q.Add(w, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if e, err := q.Read(w.ID); !errors.As(err, new(*Bad)) {
		t.Errorf("one that waits for nobody: %+v %v", e, err)
	}
}
