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

// A Trait is a property of an address that all processes of the user remember for a
// while, in a file of the state folder. Without that folder nothing is remembered.
type Trait struct {
	name  string
	lasts time.Duration
}

var (
	// ClassicalOnly: a ClientHello of more than one packet is lost. Use classical key
	// shares, with which the ClientHello fits into one packet.
	ClassicalOnly = Trait{"classical", 24 * time.Hour}
	// Stalls: between MAIL and the reply to the final dot the connection went silent,
	// as if large packets were lost. Try this address after all others.
	Stalls = Trait{"stalled", time.Hour}
	// ToldOfLogins: a person was warned that the server offers login mechanisms and
	// refuses them. Do not repeat the warning.
	ToldOfLogins = Trait{"logins", 24 * time.Hour}
)

// addressPrefix begins the names of the files that keep the traits of an address.
const addressPrefix = "address-"

// addressFile returns the name of the file that keeps the traits of h.
func addressFile(h Hop) string {
	sum := sha256.Sum256([]byte(h.Endpoint()))
	return addressPrefix + hex.EncodeToString(sum[:8])
}

// traits reads a file of traits: until when each is remembered, by the trait's name. The
// map is empty if the file cannot be read.
func (d *Dialer) traits(file string) map[string]time.Time {
	var until map[string]time.Time
	if json.Unmarshal(d.State.Read(file), &until) != nil || until == nil {
		return make(map[string]time.Time)
	}
	return until
}

// Is reports whether h has the trait t. A time further in the future than t.lasts was
// written by a wrong clock, and does not count.
func (d *Dialer) Is(h Hop, t Trait) bool {
	remaining := time.Until(d.traits(addressFile(h))[t.name])
	return 0 < remaining && remaining <= t.lasts
}

// Remember remembers the trait t of h from now on. It ignores an error of the disk,
// which costs another attempt later, but no mail.
func (d *Dialer) Remember(h Hop, t Trait) {
	until := d.traits(addressFile(h))
	until[t.name] = time.Now().Add(t.lasts)
	text, _ := json.Marshal(until) // fails only for times after the year 9999
	d.State.Write(addressFile(h), text)
}

// Sweep removes the files in which all traits have expired.
func (d *Dialer) Sweep() {
	for _, file := range d.State.List() {
		isValid := func(until time.Time) bool { return time.Now().Before(until) }
		if strings.HasPrefix(file, addressPrefix) && !slices.ContainsFunc(slices.Collect(maps.Values(d.traits(file))), isValid) {
			d.State.Write(file, nil)
		}
	}
}
