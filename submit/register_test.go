package submit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sendoff/config/cmdline"
	"sendoff/submit/submittest/literals"
)

// privateWords are words of texts that people who read English as a foreign language had
// to read twice. The field's words are: can only be used with, is available, queued
// mail, failed, your own, is used for, correct, cannot be understood.
var privateWords = regexp.MustCompile(`(?i)\b(stands? (only|alone)|(is|are|was|were|be) had|not to be had|` +
	`what waits|(gave|given|gives?|give .*) up|of our own|knows us|serves? for|takes no password|mend(s|ed|ing)?|` +
	`looks no more|not for now|asks? on|on and on|makes? (no )?sense|at work on|such an? one)\b`)

// ourOptions finds the long options that a text tells people to write.
var ourOptions = regexp.MustCompile(`sendoff((?: --?[a-z-]+)+)`)

// pages returns the manual pages and README.
func pages(t *testing.T) (all []literals.Literal) {
	names, err := filepath.Glob("../man/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no manual pages: %v", err)
	}
	for _, name := range append(names, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, literals.Literal{At: name, Text: string(text)})
	}
	return all
}

// TestRegister holds that help, questions, hints, errors and manuals are in plain words,
// and that the texts of the program name only options that there are.
func TestRegister(t *testing.T) {
	long := []string{"--complete", "--env-file"} // for shells only; an option of podman's
	for f := range cmdline.Flags() {
		long = append(long, "--"+f.Long)
	}
	known := make(map[string]bool)
	all, err := literals.All("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		known[l.Text] = true
		if words := privateWords.FindString(l.Text); words != "" {
			t.Errorf("%s: %q: say %q in plain words", l.At, l.Text, words)
		}
		for _, match := range ourOptions.FindAllStringSubmatch(l.Text, -1) {
			for _, option := range strings.Fields(match[1]) {
				if strings.HasPrefix(option, "--") && len(option) > 2 && !slices.Contains(long, option) {
					t.Errorf("%s: %q: there is no option %s", l.At, l.Text, option)
				}
			}
		}
	}
	for _, page := range pages(t) {
		for _, line := range strings.Split(page.Text, "\n") {
			if words := privateWords.FindString(line); words != "" {
				t.Errorf("%s: %q: say %q in plain words", page.At, line, words)
			}
		}
	}
	for _, text := range []string{ // of a help line, an error, a hint and a question
		"send queued mail that is due (for timers)", "no account configured",
		"store the password: sendoff --login ACCOUNT", "Where will this account be used? 1-%d",
	} {
		if !known[text] {
			t.Errorf("%q is not among the literals", text)
		}
	}
}

// TestPrivateWords holds that the test above can fail: by texts of an early version.
func TestPrivateWords(t *testing.T) {
	for _, text := range []string{
		"--yes is an answer to --setup, and stands only with it", "try what waits and is due: for a timer",
		"send to a server of our own; show what it got", "what an OAuth2 provider knows us by", "secret not to be had",
		"where tokens are had", "F serves for that", "left: F, where the account looks no more", "what was given up",
		"no keyring is open here, so the desktop is not for now", "takes no password",
	} {
		if !privateWords.MatchString(text) {
			t.Errorf("%q passes", text)
		}
	}
}
