package submit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// inUnits writes octets for people, in units as the configuration has them: 1 KB
// is 1024 octets. What has begun is a whole KB.
func inUnits(octets int64) string {
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

// lasted writes a time for people: to the second, the minute or the day.
func lasted(d time.Duration) string {
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
