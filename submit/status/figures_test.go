package status

import (
	"testing"
	"time"
)

func TestInUnits(t *testing.T) {
	for _, row := range []struct {
		octets int64
		want   string
	}{
		{0, "0 KB"}, {1, "1 KB"}, {1024, "1 KB"}, {1025, "2 KB"}, {1000 << 10, "1000 KB"}, {1 << 20, "1 MB"}, {1<<20 - 1, "1 MB"},
		{3 << 19, "1.5 MB"}, {25 << 20, "25 MB"}, {1 << 30, "1 GB"}, {1<<30 + 1, "1 GB"}, {5 << 40, "5 TB"}, {5000 << 40, "5000 TB"},
	} {
		if got := Size(row.octets); got != row.want {
			t.Errorf("%d: %s, want %s", row.octets, got, row.want)
		}
	}
}

func TestLasted(t *testing.T) {
	for _, row := range []struct {
		time time.Duration
		want string
	}{
		{0, "0s"}, {59*time.Second + 700*time.Millisecond, "1m"}, {42 * time.Second, "42s"}, {61 * time.Second, "1m"}, {90 * time.Minute, "1h30m"},
		{4 * time.Hour, "4h"}, {47*time.Hour + 59*time.Minute, "47h59m"}, {48 * time.Hour, "2 days"}, {1000 * time.Hour, "41 days"},
	} {
		if got := Lasted(row.time); got != row.want {
			t.Errorf("%v: %s, want %s", row.time, got, row.want)
		}
	}
}
