package process

import (
	"strings"
	"testing"
)

func TestPanicPlace(t *testing.T) {
	place := func(f func()) (place string) {
		defer func() {
			recover()
			place = PanicPlace()
		}()
		f()
		return ""
	}
	var nothing map[string]int
	for name, f := range map[string]func(){
		"a panic of our own":       func() { panic("secret") },
		"a panic of the runtime's": func() { nothing["x"] = 1 },
	} {
		if got := place(f); !strings.Contains(got, "process.TestPanicPlace.") || strings.Contains(got, "secret") {
			t.Errorf("%s came from %q", name, got)
		}
	}
}
