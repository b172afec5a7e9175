package config

import (
	"slices"
	"testing"
)

// TestChoiceLines: ParseChoice restores a Choice from its lines; the name of an account in
// a file comes first.
func TestChoiceLines(t *testing.T) {
	by := Choice{
		CommandLine: Override{Config: "/c", UserFile: "/u", Home: "/h", Server: "smtps://mx", User: "ann", Secret: "keyring"},
		Environment: Override{Account: "work", Server: "smtps://my", From: "*@example.org"},
	}
	if got := ParseChoice(by.Lines(nil)); got != by {
		t.Errorf("read %+v, wrote %+v", got, by)
	}
	if got := ParseChoice(by.Lines(&Account{Name: "made"})); got != by {
		t.Errorf("with an account of no file: %+v", got)
	}
	named := by
	named.CommandLine.Account = "home"
	lines := by.Lines(&Account{Name: "home", File: "config.toml"})
	if got := ParseChoice(lines); got != named {
		t.Errorf("with an account of a file: %+v", got)
	}
	if lines = append(lines, "unknown=x", "nothing"); ParseChoice(lines) != named {
		t.Error("lines of another version are not passed over")
	}
	if slices.Contains(by.Lines(nil), "name=") {
		t.Error("an empty line")
	}
	for _, tt := range []struct {
		by   Choice
		want string
	}{
		{named, "home"}, {by, OfCommandLine}, {Choice{Environment: by.Environment}, OfEnvironment},
		{Choice{Environment: Override{Account: "work"}}, "work"}, {Choice{}, ""},
	} {
		if got := tt.by.AccountName(); got != tt.want {
			t.Errorf("%+v: name %q, want %q", tt.by, got, tt.want)
		}
	}
}
