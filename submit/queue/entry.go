package queue

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// An Entry is a message in the queue without its content: what the caller asked for,
// before the rules of an account are applied, and the results of the attempts.
type Entry struct {
	ID   ID
	Size int64 // octets of the message

	Sender    *envelope.Address // nil: the caller named no sender
	Author    *envelope.Address // in the From field of the message, null if there is none; nil: an older version wrote the entry
	Client    *int              // uid of the user who gave the message to the service that owns the queue; nil: the owner of the queue
	FullName  string            // the name for a From field that is added to the message
	UserName  string            // the same, if neither FullName nor the account has a name
	Body      envelope.Body
	Return    envelope.Return
	Envelope  string // ENVID
	TLS       bool   // REQUIRETLS
	MessageID string // for the log
	To        []Recipient

	// Account holds KEY=VALUE lines by which a submitter finds the account. None of
	// them is a secret. Package queue does not interpret them.
	Account []string

	Attempts int         // number of attempts
	Tried    time.Time   // when the last attempt ended; zero: there was none
	Next     time.Time   // the next attempt is made at this time or later
	Tries    []time.Time // times of some attempts; see AddTry and TooOld
	Reason   string      // why the whole entry waits; "": the recipients have the reasons
	Limited  time.Time   // when the server first refused the entry for a limit; zero: never
	Unknown  bool        // an attempt ended without a reply: the server may have the message

	// Notice is the time at which the entry became a notice to its sender about
	// failed recipients, which are in To; zero: the entry is no notice.
	Notice time.Time

	extra []string // lines of the envelope that this version does not know, to be kept
}

// A Recipient is a recipient to whom the message has not been sent, as far as is known.
type Recipient struct {
	envelope.Recipient
	NoAliases bool        // the address is not looked up in an alias file
	Refused   bool        // permanently: there will be no other attempt
	Code      status.Code // of the last failure; zero: there was none
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

// Why returns in one line why e waits or has failed: the reason of the entry, or else the
// first reason of a recipient; "" if nothing has failed yet.
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

// endLine is the last line of every complete envelope.
const endLine = "end"

// A field is a kind of line in the file of an envelope. A field without a value has no
// line.
type field struct {
	name  string
	value any // a pointer to the value, or an outcome
}

func (e *Entry) fields() []field {
	return []field{
		{"size", &e.Size},
		{"sender", &e.Sender},
		{"author", &e.Author},
		{"client", &e.Client},
		{"full-name", &e.FullName},
		{"user-name", &e.UserName},
		{"message-id", &e.MessageID},
		{"body", &e.Body},
		{"return", &e.Return},
		{"envelope-id", &e.Envelope},
		{"require-tls", &e.TLS},
		{"attempts", &e.Attempts},
		{"tried", &e.Tried},
		{"tries", &e.Tries},
		{"next", &e.Next},
		{"reason", &e.Reason},
		{"limited", &e.Limited},
		{"unknown", &e.Unknown},
		{"notice", &e.Notice},
	}
}

// fields returns the fields whose lines follow the "to" line of r.
func (r *Recipient) fields() []field {
	return []field{
		{"notify", &r.Notify},
		{"original", &r.Original},
		{"no-aliases", &r.NoAliases},
		{"deferred", outcome{r, false}},
		{"refused", outcome{r, true}},
	}
}

// An outcome is the value of a "deferred" line or, if refused is set, a "refused" line:
// Code and Reason of the recipient.
type outcome struct {
	*Recipient
	refused bool
}

// format returns the value of f for its line; "": f has no value.
func (f field) format() string {
	switch v := f.value.(type) {
	case *string:
		return *v
	case *int:
		return strconv.Itoa(*v)
	case *int64:
		return strconv.FormatInt(*v, 10)
	case **int:
		if *v != nil {
			return strconv.Itoa(**v)
		}
	case *bool:
		if *v {
			return "yes"
		}
	case *time.Time:
		if !v.IsZero() {
			return v.UTC().Format(time.RFC3339Nano)
		}
	case *[]time.Time:
		var words []string
		for i := range *v {
			words = append(words, field{value: &(*v)[i]}.format())
		}
		return strings.Join(words, " ")
	case **envelope.Address:
		if *v != nil {
			return "<" + (*v).String() + ">"
		}
	case outcome:
		if v.Refused == v.refused && v.Code != (status.Code{}) {
			return v.Code.String() + " " + v.Reason
		}
	case fmt.Stringer: // a type of package envelope
		return v.String()
	}
	return ""
}

// parse sets the value of f from text, which format has written.
func (f field) parse(text string) (err error) {
	switch v := f.value.(type) {
	case *string:
		*v = text
	case *int:
		*v, err = strconv.Atoi(text)
	case *int64:
		*v, err = strconv.ParseInt(text, 10, 64)
	case **int:
		*v = new(int)
		**v, err = strconv.Atoi(text)
	case *bool:
		*v = text == "yes"
	case *time.Time:
		*v, err = time.Parse(time.RFC3339Nano, text)
	case *[]time.Time:
		for word := range strings.FieldsSeq(text) {
			*v = append(*v, time.Time{})
			err = cmp.Or(err, field{value: &(*v)[len(*v)-1]}.parse(word))
		}
	case **envelope.Address:
		*v = new(envelope.Address)
		**v, err = envelope.Parse(text)
	case outcome:
		var ok bool
		if v.Code, v.Reason, ok = status.ParseCode(text); !ok {
			return errors.New("no status code")
		}
		v.Refused = v.refused
	case interface{ Set(string) error }:
		err = v.Set(text)
	}
	return err
}

// marshal returns e as the lines of the file of an envelope.
func (e *Entry) marshal() []byte {
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + " " + quote(value) + "\n")
		}
	}
	for _, f := range e.fields() {
		line(f.name, f.format())
	}
	for _, a := range e.Account {
		line("account", a)
	}
	for i := range e.To {
		to := &e.To[i]
		line("to", "<"+to.Address.String()+">")
		for _, f := range to.fields() {
			line(f.name, f.format())
		}
	}
	for _, l := range e.extra {
		b.WriteString(l + "\n")
	}
	b.WriteString(endLine + "\n")
	return b.Bytes()
}

// unmarshal parses the file of an envelope. An entry without recipients is no error here.
func unmarshal(id ID, data []byte) (*Entry, error) {
	e := &Entry{ID: id}
	body, whole := strings.CutSuffix(string(data), "\n"+endLine+"\n")
	if !whole {
		return nil, errors.New("it ends too early")
	}
	fields := e.fields()
	for line := range strings.SplitSeq(body, "\n") {
		name, value, _ := strings.Cut(line, " ")
		value, err := unquote(value)
		if err == nil {
			err = e.set(fields, name, value, line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %.40q: %w", status.Printable(line), err)
		}
	}
	return e, nil
}

// set sets what line says, which is name and value. fields are those of e.
func (e *Entry) set(fields []field, name, value, line string) error {
	named := func(f field) bool { return f.name == name }
	if i := slices.IndexFunc(fields, named); i >= 0 {
		return fields[i].parse(value)
	}
	switch name {
	case "account":
		e.Account = append(e.Account, value)
		return nil
	case "to":
		a, err := envelope.Parse(value)
		e.To = append(e.To, Recipient{Recipient: envelope.Recipient{Address: a}})
		return err
	}
	last := new(Recipient)
	if len(e.To) > 0 {
		last = &e.To[len(e.To)-1]
	}
	fields = last.fields()
	i := slices.IndexFunc(fields, named)
	switch {
	case i < 0:
		e.extra = append(e.extra, line)
		return nil
	case len(e.To) == 0:
		return errors.New("no recipient before it")
	}
	return fields[i].parse(value)
}

// quote returns s as a quoted Go string if s is not a single line, or if unquote would not
// return the same s; otherwise s.
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
