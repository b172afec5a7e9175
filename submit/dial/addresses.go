package dial

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"sendoff/submit/state"
)

// A Trait is what is remembered of an address for a while, by all processes of
// the user. It is in the state folder; where there is none, nothing is remembered.
type Trait struct {
	name  string
	lasts time.Duration
}

var (
	// ClassicalOnly: a ClientHello of more than one packet is lost, so key shares
	// are classical.
	ClassicalOnly = Trait{"classical", 24 * time.Hour}
	// Stalls: between MAIL and the reply to the final dot nothing more went one way
	// or the other, as where large packets are lost. The address comes last.
	Stalls = Trait{"stalled", time.Hour}
	// ToldOfLogins: the server offers login mechanisms that it does not know, and a
	// person was told.
	ToldOfLogins = Trait{"logins", 24 * time.Hour}
)

// traits are all of them.
var traits = [...]Trait{ClassicalOnly, Stalls, ToldOfLogins}

// addressPrefix begins the names of the files of addresses.
const addressPrefix = "address-"

func addressFile(h Hop) string {
	sum := sha256.Sum256([]byte(h.Endpoint()))
	return addressPrefix + hex.EncodeToString(sum[:8])
}

// traitsOf returns what is remembered under name, and since when. A time in the
// future was written by a clock that was wrong.
func traitsOf(d *state.Folder, name string) map[string]time.Time {
	since := make(map[string]time.Time)
	for line := range strings.Lines(string(d.Read(name))) {
		word, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := time.Parse(time.RFC3339Nano, value)
		i := slices.IndexFunc(traits[:], func(t Trait) bool { return t.name == word })
		if err == nil && i >= 0 && time.Since(at) >= 0 && time.Since(at) < traits[i].lasts {
			since[word] = at
		}
	}
	return since
}

// Is reports whether t is remembered of h.
func (d *Dialer) Is(h Hop, t Trait) bool {
	_, ok := traitsOf(d.State, addressFile(h))[t.name]
	return ok
}

// Remember remembers t of h from now on. A disk that does not take it costs
// another attempt, and no mail.
func (d *Dialer) Remember(h Hop, t Trait) {
	since := traitsOf(d.State, addressFile(h))
	since[t.name] = time.Now()
	text := "address " + h.Endpoint() + "\n"
	for _, t := range traits {
		if at, ok := since[t.name]; ok {
			text += fmt.Sprintf("%s %s\n", t.name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	d.State.Write(addressFile(h), []byte(text))
}

// Sweep removes the files of addresses of which nothing is remembered any more.
func (d *Dialer) Sweep() {
	for _, name := range d.State.List() {
		if strings.HasPrefix(name, addressPrefix) && len(traitsOf(d.State, name)) == 0 {
			d.State.Write(name, nil)
		}
	}
}
