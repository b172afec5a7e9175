package submit

import "testing"

func TestTally(t *testing.T) {
	for _, row := range []struct {
		sent, givenUp, left int
		want                string
	}{
		{0, 0, 0, "nothing to send"},
		{2, 0, 0, "2 sent"},
		{2, 1, 0, "2 sent, 1 given up"},
		{2, 0, 1, "2 sent, 1 waits; mailq says why"},
		{0, 1, 3, "1 given up, 3 wait; mailq says why"},
		{0, 0, 1, "nothing sent, 1 waits; mailq says why"},
	} {
		n := new(Tally)
		for range row.sent {
			n.countSent()
		}
		for range row.givenUp {
			n.countGivenUp()
		}
		if got := n.Words(row.left); got != row.want {
			t.Errorf("%+v: got %s", row, got)
		}
	}
}
