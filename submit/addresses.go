package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"sendoff/submit/queue"
)

// A trait is what is remembered of an address for a while, by all processes of
// the user. It is in the queue's folder; where there is none, nothing is.
type trait struct {
	name  string
	lasts time.Duration
}

var (
	// Its TLS takes no ClientHello of more than one packet: key shares are
	// classical.
	classicalOnly = trait{"classical", 24 * time.Hour}
	// Nothing more went one way or the other between MAIL and the reply to the
	// final dot, as where large packets are lost on the way: it comes last.
	stalls = trait{"stalled", time.Hour}
	// It offers login mechanisms that it does not know, and a person was told.
	toldOfLogins = trait{"logins", 24 * time.Hour}
)

// traits are all of them.
var traits = [...]trait{classicalOnly, stalls, toldOfLogins}

// addressPrefix begins the names of the files of addresses.
const addressPrefix = "address-"

func addressFile(h hop) string {
	sum := sha256.Sum256([]byte(h.place()))
	return addressPrefix + hex.EncodeToString(sum[:8])
}

// traitsOf returns what is remembered under name, and since when. A time in the
// future was written by a clock that was wrong.
func traitsOf(q *queue.Queue, name string) map[string]time.Time {
	since := make(map[string]time.Time)
	for line := range strings.Lines(string(q.State(name))) {
		word, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := time.Parse(time.RFC3339Nano, value)
		i := slices.IndexFunc(traits[:], func(t trait) bool { return t.name == word })
		if err == nil && i >= 0 && time.Since(at) >= 0 && time.Since(at) < traits[i].lasts {
			since[word] = at
		}
	}
	return since
}

// is reports whether t is remembered of h.
func (s *Submitter) is(h hop, t trait) bool {
	if s.Queue == nil || s.rehearsal != nil {
		return false
	}
	_, ok := traitsOf(s.Queue, addressFile(h))[t.name]
	return ok
}

// remember remembers t of h from now on. A disk that does not take it costs
// another attempt, and no mail.
func (s *Submitter) remember(h hop, t trait) {
	if s.Queue == nil || s.rehearsal != nil {
		return
	}
	since := traitsOf(s.Queue, addressFile(h))
	since[t.name] = time.Now()
	text := "address " + h.place() + "\n"
	for _, t := range traits {
		if at, ok := since[t.name]; ok {
			text += fmt.Sprintf("%s %s\n", t.name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	s.Queue.SetState(addressFile(h), []byte(text))
}

// forgetAddresses removes the files of addresses of which nothing is known any
// more.
func (s *Submitter) forgetAddresses() {
	for _, name := range s.Queue.States() {
		if strings.HasPrefix(name, addressPrefix) && len(traitsOf(s.Queue, name)) == 0 {
			s.Queue.SetState(name, nil)
		}
	}
}
