package status

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size writes octets for people, in the units of the configuration: 1 KB is 1024
// octets. Small sizes are rounded up to a whole KB.
func Size(octets int64) string {
	if octets <= 1000<<10 {
		return fmt.Sprintf("%d KB", (octets+1023)>>10)
	}
	units := [...]string{"MB", "GB", "TB"}
	n, unit := float64(octets)/(1<<20), 0
	for n >= 1000 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + " " + units[unit]
}

// Plural returns the end of a noun of which there are n.
func Plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// Either lists at least one word: "a", "a or b", "a, b or c".
func Either(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Lasted writes a duration for people: to the second, the minute or the day.
func Lasted(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d < time.Minute:
		return d.String()
	}
	text := strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
