package throttle

import (
	"encoding/json"
	"testing"
)

// TestPace counts messages in a period, written to and read from a file, and with a
// clock that is set back.
func TestPace(t *testing.T) {
	p := readPace(nil)
	p.advance(1000)
	p.Counts[paceSteps] = 3
	p.advance(1010)
	p.Counts[paceSteps] = 2
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	p = readPace(text)
	if p.sum() != 5 || p.nextFree() != 1061 {
		t.Errorf("%d until %d", p.sum(), p.nextFree())
	}
	if p.advance(1060); p.sum() != 5 {
		t.Errorf("%d in the last of the steps", p.sum())
	}
	if p.advance(1061); p.sum() != 2 || p.nextFree() != 1071 {
		t.Errorf("%d until %d", p.sum(), p.nextFree())
	}
	if p.advance(900); p.sum() != 0 {
		t.Errorf("%d after a clock went back", p.sum())
	}
	for _, text := range []string{"", "x", "1 2 end\n", string(text[:20])} {
		if p := readPace([]byte(text)); p.sum() != 0 {
			t.Errorf("%q: %v", text, p)
		}
	}
}
