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

// A field is one kind of line in an envelope's file: its name, and a pointer to what
// it is about. A field that is empty has no line.
type field struct {
	name  string
	value any
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

// fields are the lines that belong to the "to" before them.
func (r *Recipient) fields() []field {
	return []field{
		{"notify", &r.Notify},
		{"original", &r.Original},
		{"no-aliases", &r.NoAliases},
		{"deferred", outcome{r, false}},
		{"refused", outcome{r, true}},
	}
}

// An outcome is what became of a recipient, as far as it was refused for good or not.
type outcome struct {
	*Recipient
	refused bool
}

// format writes the value of a field.
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
	case fmt.Stringer: // one of the words of envelope
		return v.String()
	}
	return ""
}

// parse reads what format wrote.
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

// marshal writes e as the lines of an envelope's file.
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

// unmarshal reads the lines of an envelope's file. Whether an entry may be without
// recipients is for the reader to know.
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

// set takes one line.
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
