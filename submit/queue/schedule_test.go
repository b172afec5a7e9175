package queue

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var testSchedule = Schedule{First: 10 * time.Minute, Longest: time.Hour, Lifetime: 5 * 24 * time.Hour}

// TestBackoff checks that each failure doubles the wait, up to the longest, and that the
// wait is random within 20 percent.
func TestBackoff(t *testing.T) {
	for failures, usual := range map[int]time.Duration{1: 10 * time.Minute, 2: 20 * time.Minute, 3: 40 * time.Minute, 4: time.Hour, 5: time.Hour, 1000: time.Hour} {
		least, most := usual, usual
		for range 1000 {
			wait := testSchedule.Backoff(failures)
			least, most = min(least, wait), max(most, wait)
		}
		if least < usual*4/5 || most > usual*6/5 || least > usual*9/10 || most < usual*11/10 {
			t.Errorf("after %d failures a wait of %s to %s, want about %s", failures, least, most, usual)
		}
	}
	for _, d := range []time.Duration{0, -time.Second} {
		if got := Jitter(d); got != d {
			t.Errorf("%s became %s", d, got)
		}
	}
}

// TestDue checks that a thing is due at the end of its wait, or at once if a wrong clock has
// written its times.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, tt := range []struct {
			last, next time.Duration // from now
			want       bool
		}{
			{-time.Hour, 0, true},
			{-time.Hour, -time.Second, true},
			{-time.Hour, time.Second, false},
			{0, time.Second, false},
			{time.Second, time.Hour, true},
			{-time.Hour, 2 * time.Hour, false},
			{-time.Hour, 2*time.Hour + 1, true},
		} {
			if got := testSchedule.Due(now.Add(tt.last), now.Add(tt.next)); got != tt.want {
				t.Errorf("last %s, next %s: %t", tt.last, tt.next, got)
			}
			if got := testSchedule.IsDue(&Entry{Tried: now.Add(tt.last), Next: now.Add(tt.next)}); got != tt.want {
				t.Errorf("an entry, last %s, next %s: %t", tt.last, tt.next, got)
			}
		}
	})
}

// TestTooOld checks that an entry is given up after three late attempts over two hours, in
// which a pause counts for one hour at most.
func TestTooOld(t *testing.T) {
	born := time.Now()
	late := testSchedule.Lifetime
	for _, tt := range []struct {
		tries []time.Duration // from born
		want  bool
	}{
		{nil, false},
		{[]time.Duration{late, late + time.Hour, late + 2*time.Hour}, false}, // the first is not late
		{[]time.Duration{late + 1, late + time.Hour, late + 2*time.Hour}, false},
		{[]time.Duration{late + 1, late + time.Hour + 1, late + 2*time.Hour + 1}, true},
		{[]time.Duration{late + 1, late + 30*time.Minute, late + time.Hour}, false},
		{[]time.Duration{late + 1, late + 2*time.Hour + 1}, false},
		{[]time.Duration{late + 1, late + 20*time.Minute, late + 10*time.Hour}, false}, // the pause counts for an hour
		{[]time.Duration{time.Hour, late + 1, late + time.Hour + 1, late + 9*time.Hour}, true},
	} {
		var tries []time.Time
		for _, d := range tt.tries {
			tries = append(tries, born.Add(d))
		}
		if got := testSchedule.TooOld(born, tries); got != tt.want {
			t.Errorf("tried at %s: %t", tt.tries, got)
		}
	}
	if !TooFew(lateTries-1) || TooFew(lateTries) {
		t.Errorf("%d late attempts are too few, or one less is enough", lateTries)
	}
}

// TestAddTry checks that the last attempts are kept, but none in the future, and only one of
// several in a short time.
func TestAddTry(t *testing.T) {
	now := time.Now().Round(0)
	at := func(minutes ...int) (tries []time.Time) {
		for _, m := range minutes {
			tries = append(tries, now.Add(time.Duration(m)*time.Minute))
		}
		return tries
	}
	for _, tt := range []struct{ tries, want []time.Time }{
		{nil, at(0)},
		{at(-20), at(-20, 0)},
		{at(-19), at(-19)},
		{at(-40, 5, 10), at(-40, 0)},
		{at(-40, 0), at(-40, 0)},
		{at(-160, -140, -120, -100, -80, -60, -40), at(-160, -140, -120, -100, -80, -60, -40, 0)},
		{at(-180, -160, -140, -120, -100, -80, -60, -40), at(-160, -140, -120, -100, -80, -60, -40, 0)},
	} {
		if got := AddTry(slices.Clone(tt.tries), now); !slices.EqualFunc(got, tt.want, time.Time.Equal) {
			t.Errorf("%v: %v, want %v", tt.tries, got, tt.want)
		}
	}
}
