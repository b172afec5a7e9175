//go:build unix

package notify_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sendoff/submit/maillog"
	"sendoff/submit/notify"
)

// recordCommand returns a command that appends what it hears to a file, and the file.
func recordCommand(t *testing.T) (command, file string) {
	t.Helper()
	folder := t.TempDir()
	file = filepath.Join(folder, "heard")
	script := filepath.Join(folder, "hear")
	text := "#!/bin/sh\necho \"$# $SENDOFF_EVENT $SENDOFF_FOLDER $SENDOFF_ID $SENDOFF_REASON\" >> '" + file + "'\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return "'" + script + "'", file
}

func heard(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// TestTell tests that a command hears of an event in its environment, and that no
// word of the command is made of the event.
func TestTell(t *testing.T) {
	command, file := recordCommand(t)
	e := notify.Event{Command: command, Folder: "/queue/failed", Name: notify.Failed, About: []string{"SENDOFF_ID=17", "SENDOFF_REASON=550 no; touch $(pwd)"}}
	if late := e.Tell(); late {
		t.Error("the command took too long")
	}
	if got, want := heard(t, file), "0 failed /queue/failed 17 550 no; touch $(pwd)\n"; got != want {
		t.Errorf("the command heard %q; want %q", got, want)
	}
	if (notify.Event{Name: notify.Failed}).Tell() {
		t.Error("an event without a command took too long")
	}
}

// TestList tests that all events are told of in order, by one goroutine, and that
// the log counts those that are not told of.
func TestList(t *testing.T) {
	command, file := recordCommand(t)
	var l notify.List
	l.Add(notify.Event{Name: notify.Failed}) // has no command
	if l.Begin() {
		t.Error("there is something to tell of without a command")
	}
	for _, name := range []string{notify.Fault, notify.Waiting, notify.Recovered} {
		l.Add(notify.Event{Command: command, Name: name})
	}
	if !l.Begin() || l.Begin() || !l.IsTelling() {
		t.Error("not exactly one goroutine tells")
	}
	l.TellAll(context.Background())
	if got, want := strings.Fields(heard(t, file)), "0 fault 0 waiting 0 recovered"; strings.Join(got, " ") != want {
		t.Errorf("the command heard %q; want %q", got, want)
	}
	if l.IsTelling() {
		t.Error("telling has not ended")
	}

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	log := filepath.Join(t.TempDir(), "log")
	for range 3 {
		l.Add(notify.Event{Command: command, Name: notify.Dropped, Log: &maillog.Log{Place: log}})
	}
	l.Begin()
	l.TellAll(ended)
	if got := heard(t, log); !strings.Contains(got, "3 more events") || strings.Contains(heard(t, file), notify.Dropped) {
		t.Errorf("after the end of the context the log is %q, and the command heard %q", got, heard(t, file))
	}
}
