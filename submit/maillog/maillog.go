// Package maillog writes a line for each event of a mail to the configured log, in
// Postfix's format:
//
//	ID: from=<ann@example.org>, uid=1000, caller=/usr/sbin/cron, dir=/root, size=312, message-id=<…>
//	ID: to=<bob@example.net>, account=work, relay=smtp.example.org, delay=1.2s, dsn=2.0.0, status=sent (250 2.0.0 ok)
//
// or each line as a JSON object.
//
// The package does not know what a request, a report or an entry is: its callers name
// the fields. No caller passes a secret or a part of a message.
//
// Errors: none. A line that cannot be written is lost, but the mail is still sent.
package maillog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
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

// A Log is a log that the process writes. A nil Log writes nothing.
type Log struct {
	Place  string // config.LogSyslog, config.LogStderr, a file's path, or config.Off
	Format string // config.LogJSON or "text"
	Tag    string // the program's name in the system's log and in a file

	first  *Log                 // the log of which Like has made this one; nil: this is the first log
	others map[string]*Log      // only in the first log: the logs that Like has made, by format and place
	told   map[string]time.Time // only in the first log: when each fault was written

	mu     sync.Mutex
	closed time.Time // when the last attempt to open or write failed
	write  func(line string, bad bool) error
}

const (
	// writeTime is how long writing one line may take.
	writeTime = time.Second
	// restTime is how long lines are dropped after a failure.
	restTime = 10 * time.Second
	// tellAgain is the time after which the same fault is written again.
	tellAgain = 30 * time.Minute
)

// Like returns the log that c configures. It returns the same Log for the same place and
// format, so that each log is opened once. Logs that come from one Log do not repeat the
// faults of each other.
func (l *Log) Like(c *config.Config) *Log {
	if l != nil && l.first != nil {
		l = l.first
	}
	if l == nil || l.Place == c.Log && l.Format == c.LogFormat {
		return l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := c.LogFormat + " " + c.Log
	if l.others == nil {
		l.others = make(map[string]*Log)
	}
	if l.others[key] == nil {
		l.others[key] = &Log{Place: c.Log, Format: c.LogFormat, Tag: l.Tag, first: l}
	}
	return l.others[key]
}

// Line writes one line about the message id. fields are keys, each followed by its
// value, as in package log/slog; a field with the value nil or "" is left out. bad
// raises the line's priority in the system's log.
func (l *Log) Line(id queue.ID, bad bool, fields ...any) {
	if l == nil || l.Place == config.Off {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.write == nil && time.Since(l.closed) > restTime {
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
	case <-time.After(writeTime):
	}
	l.write, l.closed = nil, time.Now() // the write failed, or took longer than writeTime
}

// Fault writes err, a fault of the queue or of sendoff itself, unless err is nil or the
// same text was written within tellAgain.
func (l *Log) Fault(err error) {
	if err == nil {
		return
	}
	id := queue.ID("queue")
	if bad := new(queue.Bad); errors.As(err, &bad) {
		id = bad.ID
	}
	if l.untold(err.Error()) {
		l.Line(id, true, "error", err.Error())
	}
}

// Warning writes text, a fault of an alias file, unless the same text was written within
// tellAgain.
func (l *Log) Warning(text string) {
	if l.untold(text) {
		l.Line("aliases", true, "warning", text)
	}
}

// untold reports whether text was not written within tellAgain. If so, the caller writes
// the text now, and untold remembers that.
func (l *Log) untold(text string) bool {
	if l == nil {
		return false
	}
	first := cmp.Or(l.first, l)
	first.mu.Lock()
	defer first.mu.Unlock()
	if at, ok := first.told[text]; ok && time.Since(at) < tellAgain {
		return false
	}
	maps.DeleteFunc(first.told, func(_ string, at time.Time) bool { return time.Since(at) >= tellAgain })
	if first.told == nil {
		first.told = make(map[string]time.Time)
	}
	first.told[text] = time.Now()
	return true
}

// pairs yields the key and value of each field whose value is not nil.
func pairs(fields []any) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for f := range slices.Chunk(fields, 2) {
			if f[1] != nil && !yield(f[0].(string), f[1]) {
				return
			}
		}
	}
}

// textLine returns a line in Postfix's format, without time and tag.
func textLine(id queue.ID, fields []any) string {
	var words []string
	for key, value := range pairs(fields) {
		text := fmt.Sprint(value)
		if a, ok := value.(envelope.Address); ok {
			text = "<" + a.String() + ">"
		}
		switch {
		case text == "":
		case key == "reply":
			words[len(words)-1] += " (" + quoted(text, "), ") + ")"
		default:
			words = append(words, key+"="+quoted(text, ", ", "="))
		}
	}
	return status.Printable(string(id) + ": " + strings.Join(words, ", "))
}

// quoted returns text in quotes if it contains one of marks. Without the quotes, a
// reader of the log could take it for several fields.
func quoted(text string, marks ...string) string {
	for _, mark := range marks {
		if strings.Contains(text, mark) {
			return strconv.Quote(text)
		}
	}
	return text
}

// jsonLine returns a line as a JSON object, with the time.
func jsonLine(id queue.ID, fields []any) string {
	var b strings.Builder
	add := func(key string, value any) {
		text, err := status.JSON(value)
		if err == nil && string(text) != `""` {
			fmt.Fprintf(&b, ",%q:%s", key, text)
		}
	}
	fmt.Fprintf(&b, "{%q:%q", "time", time.Now().Format(time.RFC3339Nano))
	add("id", id)
	for key, value := range pairs(fields) {
		switch v := value.(type) {
		case envelope.Address:
			add(key, v.String())
		case time.Duration:
			add(key, v.Seconds())
		case fmt.Stringer:
			add(key, v.String())
		default:
			add(key, v)
		}
	}
	return b.String() + "}"
}

// open returns the function that writes a line, or nil if the log cannot be opened.
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
