package queue

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// An Entry is all that is known of a message but its content: what the caller
// asked for, before any account's rules, and what has become of it.
type Entry struct {
	ID   ID
	Size int64 // of the message, in octets

	Sender    *envelope.Address // nil if nobody named one
	Author    *envelope.Address // of the message's From field, null if it has none; nil: an older version wrote the entry
	Client    *int              // uid of the user who handed the message to the service whose queue this is; nil: the queue's own
	FullName  string            // for a From field that has to be added
	UserName  string            // for such a field, if neither FullName nor the account has a name
	Body      envelope.Body
	Return    envelope.Return
	Envelope  string // ENVID
	TLS       bool   // REQUIRETLS
	MessageID string // for the log
	To        []Recipient

	// Account holds KEY=VALUE lines by which a submitter finds the account. The
	// queue does not know what they mean, only that none is a secret.
	Account []string

	Attempts int
	Tried    time.Time   // when the last attempt ended; zero if there was none
	Next     time.Time   // when the next may be made
	Tries    []time.Time // some of the attempts, for whoever decides when there were enough
	Reason   string      // why it waits, where no recipient's own reason says it
	Limited  time.Time   // when it was first refused for a limit of its account's; zero if it never was
	Unknown  bool        // an attempt ended without an answer: the server may have it

	// Notice is when the entry became a notice of what had failed, to its
	// sender; zero if it is none. To are then those that it speaks of.
	Notice time.Time

	extra []string // lines that this version does not know
}

// A Recipient is one that has not got the message, as far as anybody knows.
type Recipient struct {
	envelope.Recipient
	NoAliases bool        // it is not looked up in an alias file
	Refused   bool        // for good
	Code      status.Code // of the last failure; zero if there was none
	Reason    string      // the last failure in words
}

// Waiting returns how many recipients may still get the message.
func (e *Entry) Waiting() int {
	n := 0
	for _, to := range e.To {
		if !to.Refused {
			n++
		}
	}
	return n
}

// Why returns why e is where it is, in a line: its own reason, or the first of a
// recipient; "" if nothing has failed yet.
func (e *Entry) Why() string {
	if e.Reason != "" {
		return e.Reason
	}
	for _, to := range e.To {
		if to.Reason != "" {
			return to.Reason
		}
	}
	return ""
}

// endLine is the last line of an envelope that is whole.
const endLine = "end"

// A key is one kind of line in an envelope's file: how it is written, "" for
// not at all, and how it is read.
type key struct {
	name  string
	write func(e *Entry) string
	read  func(e *Entry, value string) error
}

var keys = [...]key{
	{"size", func(e *Entry) string { return strconv.FormatInt(e.Size, 10) }, func(e *Entry, v string) (err error) {
		e.Size, err = strconv.ParseInt(v, 10, 64)
		return err
	}},
	{"sender", func(e *Entry) string { return bracketed(e.Sender) }, address(func(e *Entry) **envelope.Address { return &e.Sender })},
	{"author", func(e *Entry) string { return bracketed(e.Author) }, address(func(e *Entry) **envelope.Address { return &e.Author })},
	{"client", func(e *Entry) string {
		if e.Client == nil {
			return ""
		}
		return strconv.Itoa(*e.Client)
	}, func(e *Entry, v string) error {
		uid, err := strconv.Atoi(v)
		e.Client = &uid
		return err
	}},
	{"full-name", func(e *Entry) string { return e.FullName }, text(func(e *Entry) *string { return &e.FullName })},
	{"user-name", func(e *Entry) string { return e.UserName }, text(func(e *Entry) *string { return &e.UserName })},
	{"message-id", func(e *Entry) string { return e.MessageID }, text(func(e *Entry) *string { return &e.MessageID })},
	{"body", func(e *Entry) string { return e.Body.String() }, func(e *Entry, v string) (err error) {
		e.Body, err = word(v, envelope.Body7Bit, envelope.Body8BitMIME)
		return err
	}},
	{"return", func(e *Entry) string { return e.Return.String() }, func(e *Entry, v string) (err error) {
		e.Return, err = word(v, envelope.ReturnFull, envelope.ReturnHeaders)
		return err
	}},
	{"envelope-id", func(e *Entry) string { return e.Envelope }, text(func(e *Entry) *string { return &e.Envelope })},
	{"require-tls", func(e *Entry) string { return yes(e.TLS) }, flag(func(e *Entry) *bool { return &e.TLS })},
	{"attempts", func(e *Entry) string { return strconv.Itoa(e.Attempts) }, func(e *Entry, v string) (err error) {
		e.Attempts, err = strconv.Atoi(v)
		return err
	}},
	{"tried", func(e *Entry) string { return stamp(e.Tried) }, moment(func(e *Entry) *time.Time { return &e.Tried })},
	{"tries", func(e *Entry) string { return FormatTimes(e.Tries) }, func(e *Entry, v string) (err error) {
		e.Tries, err = ParseTimes(v)
		return err
	}},
	{"next", func(e *Entry) string { return stamp(e.Next) }, moment(func(e *Entry) *time.Time { return &e.Next })},
	{"reason", func(e *Entry) string { return e.Reason }, text(func(e *Entry) *string { return &e.Reason })},
	{"limited", func(e *Entry) string { return stamp(e.Limited) }, moment(func(e *Entry) *time.Time { return &e.Limited })},
	{"unknown", func(e *Entry) string { return yes(e.Unknown) }, flag(func(e *Entry) *bool { return &e.Unknown })},
	{"notice", func(e *Entry) string { return stamp(e.Notice) }, moment(func(e *Entry) *time.Time { return &e.Notice })},
	{"account", nil, func(e *Entry, v string) error {
		e.Account = append(e.Account, v)
		return nil
	}},
	{"to", nil, func(e *Entry, v string) error {
		a, err := envelope.Parse(v)
		e.To = append(e.To, Recipient{Recipient: envelope.Recipient{Address: a}})
		return err
	}},
}

// recipientKeys are the lines that belong to the "to" before them.
var recipientKeys = [...]struct {
	name  string
	write func(r *Recipient) string
	read  func(r *Recipient, value string) error
}{
	{"notify", func(r *Recipient) string { return r.Notify.String() }, func(r *Recipient, v string) error {
		for n := range envelope.NotifyNever + 1 {
			if n.String() == v {
				r.Notify = n
				return nil
			}
		}
		return errors.New("no such notify")
	}},
	{"original", func(r *Recipient) string { return r.Original }, func(r *Recipient, v string) error { r.Original = v; return nil }},
	{"no-aliases", func(r *Recipient) string { return yes(r.NoAliases) }, func(r *Recipient, v string) error { r.NoAliases = v == "yes"; return nil }},
	{"deferred", func(r *Recipient) string { return r.outcome(false) }, func(r *Recipient, v string) error { return r.setOutcome(v, false) }},
	{"refused", func(r *Recipient) string { return r.outcome(true) }, func(r *Recipient, v string) error { return r.setOutcome(v, true) }},
}

func (r *Recipient) outcome(refused bool) string {
	if r.Refused != refused || r.Code == (status.Code{}) {
		return ""
	}
	return r.Code.String() + " " + r.Reason
}

func (r *Recipient) setOutcome(v string, refused bool) error {
	code, reason, ok := status.ParseCode(v)
	if !ok {
		return errors.New("no status code")
	}
	r.Code, r.Reason, r.Refused = code, reason, refused
	return nil
}

// marshal writes e as the lines of an envelope's file.
func (e *Entry) marshal() []byte {
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + " " + quote(value) + "\n")
		}
	}
	for _, k := range keys {
		if k.write != nil {
			line(k.name, k.write(e))
		}
	}
	for _, a := range e.Account {
		line("account", a)
	}
	for i := range e.To {
		to := &e.To[i]
		line("to", "<"+to.Address.String()+">")
		for _, k := range recipientKeys {
			line(k.name, k.write(to))
		}
	}
	for _, l := range e.extra {
		b.WriteString(l + "\n")
	}
	b.WriteString(endLine + "\n")
	return b.Bytes()
}

// unmarshal reads the lines of an envelope's file. Whether an entry may be without
// recipients is for the reader to know.
func unmarshal(id ID, data []byte) (*Entry, error) {
	e := &Entry{ID: id}
	body, whole := strings.CutSuffix(string(data), "\n"+endLine+"\n")
	if !whole {
		return nil, errors.New("it ends too early")
	}
	for line := range strings.SplitSeq(body, "\n") {
		name, value, _ := strings.Cut(line, " ")
		value, err := unquote(value)
		if err == nil {
			err = e.set(name, value, line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %.40q: %w", status.Printable(line), err)
		}
	}
	return e, nil
}

// set takes one line.
func (e *Entry) set(name, value, line string) error {
	for _, k := range keys {
		if k.name == name {
			return k.read(e, value)
		}
	}
	for _, k := range recipientKeys {
		if k.name != name {
			continue
		}
		if len(e.To) == 0 {
			return errors.New("no recipient before it")
		}
		return k.read(&e.To[len(e.To)-1], value)
	}
	e.extra = append(e.extra, line)
	return nil
}

// quote writes a value that would not be one line, or not come back as it was,
// as a Go string.
func quote(s string) string {
	if strings.HasPrefix(s, `"`) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

func unquote(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		return strconv.Unquote(s)
	}
	return s, nil
}

func bracketed(a *envelope.Address) string {
	if a == nil {
		return ""
	}
	return "<" + a.String() + ">"
}

func address(field func(*Entry) **envelope.Address) func(*Entry, string) error {
	return func(e *Entry, v string) error {
		a, err := envelope.Parse(v)
		*field(e) = &a
		return err
	}
}

func text(field func(*Entry) *string) func(*Entry, string) error {
	return func(e *Entry, v string) error { *field(e) = v; return nil }
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func flag(field func(*Entry) *bool) func(*Entry, string) error {
	return func(e *Entry, v string) error { *field(e) = v == "yes"; return nil }
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// FormatTimes writes times as the words of a line.
func FormatTimes(times []time.Time) string {
	var words []string
	for _, t := range times {
		words = append(words, stamp(t))
	}
	return strings.Join(words, " ")
}

// ParseTimes reads what FormatTimes wrote.
func ParseTimes(line string) (times []time.Time, err error) {
	for word := range strings.FieldsSeq(line) {
		t, err := time.Parse(time.RFC3339Nano, word)
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	return times, nil
}

func moment(field func(*Entry) *time.Time) func(*Entry, string) error {
	return func(e *Entry, v string) (err error) {
		*field(e), err = time.Parse(time.RFC3339Nano, v)
		return err
	}
}

// word returns the one of values that is written as v.
func word[T fmt.Stringer](v string, values ...T) (none T, _ error) {
	for _, value := range values {
		if value.String() == v {
			return value, nil
		}
	}
	return none, errors.New("no such value")
}
