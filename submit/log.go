package submit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A Log is where it is written what becomes of mail, a line for each event, in
// Postfix's shape:
//
//	ID: from=<ann@example.org>, uid=1000, caller=/usr/sbin/cron, dir=/root, size=312, message-id=<…>
//	ID: to=<bob@example.net>, account=work, relay=smtp.example.org, delay=1.2s, dsn=2.0.0, status=sent (250 2.0.0 ok)
//
// or each a JSON object. No line has a secret or a part of a message. What
// cannot be written is lost, and stops no mail.
type Log struct {
	Place  string // config.LogSyslog, config.LogStderr, a file, or config.Off
	Format string // config.LogJSON, or text
	Tag    string // the program's name in the system's log

	family *Log            // the first of those that like has returned; nil: this one
	others map[string]*Log // of the first one

	mu     sync.Mutex
	closed time.Time // when it could not be written to
	write  func(line string, bad bool) error
}

// A field is one of a line's.
type field struct {
	key   string
	value any // nil is left out, as is ""
}

// logTime is how long a line may take to be written, and logRest how long nothing
// is written after one has taken longer, or could not be.
const (
	logTime = time.Second
	logRest = 10 * time.Second
)

// like returns the log that c wants; the same one each time, so that it is opened
// once.
func (l *Log) like(c *config.Config) *Log {
	if l == nil || l.Place == c.Log && l.Format == c.LogFormat {
		return l
	}
	first := cmp.Or(l.family, l)
	if first.Place == c.Log && first.Format == c.LogFormat {
		return first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	key := c.LogFormat + " " + c.Log
	if first.others[key] == nil {
		if first.others == nil {
			first.others = make(map[string]*Log)
		}
		first.others[key] = &Log{Place: c.Log, Format: c.LogFormat, Tag: l.Tag, family: first}
	}
	return first.others[key]
}

// line writes one line about the message that id stands for.
func (l *Log) line(id queue.ID, bad bool, fields ...field) {
	if l == nil || l.Place == config.Off {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.write == nil && time.Since(l.closed) > logRest {
		l.write = l.open()
	}
	if l.write == nil {
		l.closed = time.Now()
		return
	}
	text := textLine(id, fields)
	if l.Format == config.LogJSON {
		text = jsonLine(id, fields)
	}
	write, done := l.write, make(chan error, 1)
	go func() {
		var err error
		bug := process.Guarded(func() { err = write(text, bad) })
		done <- cmp.Or(bug, err)
	}()
	select {
	case err := <-done:
		if err == nil {
			return
		}
	case <-time.After(logTime):
	}
	l.write, l.closed = nil, time.Now() // whoever reads the log has stopped
}

func textLine(id queue.ID, fields []field) string {
	var words []string
	for _, f := range fields {
		text := ""
		switch v := f.value.(type) {
		case nil:
			continue
		case envelope.Address:
			text = "<" + v.String() + ">"
		default:
			text = fmt.Sprint(v)
		}
		switch {
		case text == "":
		case f.key == "reply":
			words[len(words)-1] += " (" + quoted(text, "), ") + ")"
		default:
			words = append(words, f.key+"="+quoted(text, ", ", "="))
		}
	}
	return status.Printable(string(id) + ": " + strings.Join(words, ", "))
}

// quoted returns text in quotes if it holds one of marks, with which it could
// pass for other fields.
func quoted(text string, marks ...string) string {
	for _, mark := range marks {
		if strings.Contains(text, mark) {
			return strconv.Quote(text)
		}
	}
	return text
}

func jsonLine(id queue.ID, fields []field) string {
	var b strings.Builder
	add := func(key string, value any) {
		text, err := status.JSON(value)
		if err == nil && string(text) != `""` {
			fmt.Fprintf(&b, ",%q:%s", key, text)
		}
	}
	fmt.Fprintf(&b, "{%q:%q", "time", time.Now().Format(time.RFC3339Nano))
	add("id", id)
	for _, f := range fields {
		switch v := f.value.(type) {
		case nil:
		case envelope.Address:
			add(f.key, v.String())
		case time.Duration:
			add(f.key, v.Seconds())
		case fmt.Stringer:
			add(f.key, v.String())
		default:
			add(f.key, v)
		}
	}
	return b.String() + "}"
}

// open returns what writes a line; nil if there is nothing to write to.
func (l *Log) open() func(string, bool) error {
	var w io.Writer
	switch l.Place {
	case config.LogSyslog:
		return process.Syslog(l.Tag)
	case config.LogStderr:
		w = os.Stderr
	default:
		f, err := process.OpenLog(l.Place)
		if err != nil {
			return nil
		}
		w = f
	}
	return func(line string, _ bool) error {
		if l.Format != config.LogJSON && w != os.Stderr {
			line = time.Now().Format("Jan _2 15:04:05 ") + l.Tag + fmt.Sprintf("[%d]: ", os.Getpid()) + line
		}
		_, err := io.WriteString(w, line+"\n")
		return err
	}
}

// logSubmission writes who submits what. It is called once for each message.
func (s *Submitter) logSubmission(r *Request) {
	if s.Log == nil || s.rehearsal != nil {
		return
	}
	var from any
	switch {
	case r.Sender != nil:
		from = *r.Sender
	case r.Account != nil:
		if own, ok := r.Account.Address(); ok {
			from = own
		}
	}
	var size, id any
	if r.Message != nil {
		size, id = r.Message.Survey().Size, r.Message.MessageID()
		if id == "" && r.id != "" {
			id = "<" + r.id + ">" // is added
		}
	}
	uid, caller, dir := r.Peer.UID, r.Peer.Program(), ""
	if r.Peer == (process.Peer{}) {
		uid, caller = os.Getuid(), process.Caller()
		dir, _ = os.Getwd()
	}
	s.Log.line(r.logID(), false,
		field{"from", from},
		field{"uid", uid},
		field{"login", r.Login},
		field{"caller", caller},
		field{"dir", dir},
		field{"size", size},
		field{"message-id", id})
}

// logID is what stands for the message in the log, and in the queue if it gets
// there.
func (r *Request) logID() queue.ID {
	if r.queueID == "" {
		r.queueID = queue.NewID(time.Now())
	}
	return r.queueID
}

// logReport writes what became of each recipient in an attempt.
func (s *Submitter) logReport(id queue.ID, a *config.Account, since time.Time, report *Report) {
	if s.Log == nil || s.rehearsal != nil {
		return
	}
	name, relay := "", ""
	if a != nil {
		name = a.Name
		if len(a.Servers) > 0 {
			relay = a.Servers[0].Name()
		}
	}
	line := func(to envelope.Address, word string, code status.Code, reply string, bad bool) {
		s.Log.line(id, bad,
			field{"to", to}, field{"account", name}, field{"relay", relay},
			field{"delay", time.Since(since).Round(time.Millisecond)},
			field{"dsn", code}, field{"status", word}, field{"reply", reply})
	}
	for _, result := range report.taken {
		for _, to := range result.To {
			line(to.Address, "sent", result.Reply.Status, result.Reply.String(), false)
		}
	}
	for _, f := range report.Failures {
		word, code := "bounced", status.Of(f.Err)
		switch {
		case f.Unknown:
			word = "unknown"
		case code.Temporary():
			word = "deferred"
		}
		text := strings.ReplaceAll(f.Err.Error(), "\n", "; ")
		bad := status.KindOf(f.Err).Scope() == status.Account
		for _, to := range f.To {
			line(to, word, code, text, bad)
		}
		if len(f.To) == 0 {
			s.Log.line(id, bad || !code.Temporary(), field{"account", name}, field{"dsn", code}, field{"status", word}, field{"reply", text})
		}
	}
}

// logDiscarded writes what was thrown away, as an alias wants it.
func (s *Submitter) logDiscarded(id queue.ID, j *job) {
	if s.Log == nil || s.rehearsal != nil {
		return
	}
	for _, d := range j.discarded {
		s.Log.line(id, false, field{"to", d.address}, field{"account", j.account.Name}, field{"status", "sent"}, field{"reply", "discarded"})
	}
}

// logQueued writes that a message waits.
func (s *Submitter) logQueued(e *queue.Entry) {
	s.Log.line(e.ID, false, field{"status", "queued"}, field{"reply", fmt.Sprintf("%d recipients, next attempt at %s", len(e.To), e.Next.Format(time.RFC3339))})
}

// logUserRate writes that a user has submitted more than user-rate allows.
func (s *Submitter) logUserRate(r *Request, until time.Time) {
	text := fmt.Sprintf("uid %d has reached user-rate, %s; the message waits until %s", r.Peer.UID, s.Config.UserRate, until.Format(time.RFC3339))
	s.Log.line(r.logID(), true, field{"status", "held"}, field{"reply", text})
}

// logRetry writes that what was given up waits again, as another entry.
func (s *Submitter) logRetry(e *queue.Entry, was queue.ID) {
	s.Log.line(e.ID, false, field{"status", "queued"}, field{"reply", "again; it was given up as " + string(was)})
}

// logFault writes what is wrong with the queue itself, once in a while.
func (s *Submitter) logFault(err error) {
	if !s.memory.untold(err.Error()) {
		return
	}
	id := queue.ID("queue")
	if bad := new(queue.Bad); errors.As(err, &bad) {
		id = bad.ID
	}
	s.Log.line(id, true, field{"error", err.Error()})
}

// logWarning writes what is wrong with an alias file.
func (s *Submitter) logWarning(text string) {
	if s.rehearsal == nil {
		s.Log.line("aliases", true, field{"warning", text})
	}
}

// logAddress writes what was found out about an address.
func (s *Submitter) logAddress(h hop, text string) {
	if s.rehearsal == nil {
		s.Log.line("address", false, field{"relay", h.name}, field{"address", h.place()}, field{"warning", text})
	}
}

func (s *Submitter) logAttempt(t *attempt) {
	var a *config.Account
	if t.request != nil {
		a = t.request.Account
	}
	s.logReport(t.claim.ID, a, t.claim.Entry.Born(), t.report)
}

func (s *Submitter) logNotice(e *queue.Entry) {
	s.Log.line(e.ID, false, field{"status", "notice"}, field{"reply", "to " + e.Sender.String()})
}

func (s *Submitter) logFailed(e *queue.Entry) {
	s.Log.line(e.ID, true, field{"status", "failed"}, field{"reply", "in " + s.Queue.String() + "/failed: " + e.Why()})
}
