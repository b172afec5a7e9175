package process

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTakeVariable(t *testing.T) {
	t.Setenv("SENDOFF_TEST_TAKEN", "a=b\nc")
	for range 2 { // the second value comes from taken
		if value, ok := TakeVariable("SENDOFF_TEST_TAKEN"); value != "a=b\nc" || !ok {
			t.Errorf("got %q, %v", value, ok)
		}
	}
	if slices.ContainsFunc(os.Environ(), func(line string) bool { return strings.HasPrefix(line, "SENDOFF_TEST_TAKEN") }) {
		t.Error("it is still there")
	}
	if value, ok := TakeVariable("SENDOFF_TEST_NONE"); ok {
		t.Errorf("got %q", value)
	}
}
