package dial

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
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

// addressPrefix begins the names of the files of addresses.
const addressPrefix = "address-"

func addressFile(h Hop) string {
	sum := sha256.Sum256([]byte(h.Endpoint()))
	return addressPrefix + hex.EncodeToString(sum[:8])
}

// traits returns until when each trait is remembered in a file of the state folder, as
// JSON. It is empty if the file cannot be read.
func (d *Dialer) traits(file string) map[string]time.Time {
	var until map[string]time.Time
	if json.Unmarshal(d.State.Read(file), &until) != nil || until == nil {
		return make(map[string]time.Time)
	}
	return until
}

// Is reports whether t is remembered of h. A time that is too far in the future was
// written by a clock that was wrong.
func (d *Dialer) Is(h Hop, t Trait) bool {
	left := time.Until(d.traits(addressFile(h))[t.name])
	return 0 < left && left <= t.lasts
}

// Remember remembers t of h from now on. A disk that does not take it costs
// another attempt, and no mail.
func (d *Dialer) Remember(h Hop, t Trait) {
	until := d.traits(addressFile(h))
	until[t.name] = time.Now().Add(t.lasts)
	text, _ := json.Marshal(until) // times of this century
	d.State.Write(addressFile(h), text)
}

// Sweep removes the files of addresses of which nothing is remembered any more.
func (d *Dialer) Sweep() {
	for _, file := range d.State.List() {
		lasts := func(until time.Time) bool { return time.Now().Before(until) }
		if strings.HasPrefix(file, addressPrefix) && !slices.ContainsFunc(slices.Collect(maps.Values(d.traits(file))), lasts) {
			d.State.Write(file, nil)
		}
	}
}
