// The scripts in testdata/script run the real binary, one file for each
// behaviour. They are testscript's (github.com/rogpeppe/go-internal), with
// these commands besides:
//
//	exit CODE PROGRAM ARG...    run it; that is its exit code, stdout is empty
//	print CODE PROGRAM ARG...   the same, for what writes to stdout
//	says LINE...                stderr was exactly this; … at a line's end stands
//	                            for the rest of it
//	shows FILE                  stdout was exactly that file, with variables expanded and …
//	                            for any part of a line
//	findings CHECK=RESULT...    stdout was a JSON object a line, and among them these
//	                            findings of the doctor, in this order
//	inits MAX FILE [FILE]       stderr was what GODEBUG=inittrace=1 writes: the packages that
//	                            do something before main are those of the file, and each
//	                            allocates at most MAX octets; those of Go's library, but for
//	                            the internal ones, are in the second file
//	hides USER SECRET           neither stdout nor stderr had the secret, in any form
//
//	smarthost NAME [WORD...]    start a server that takes mail after TLS and a login
//	                            as user with the password s3kr1t; NAME.envelope and
//	                            NAME.eml are the last mail it got
//	received NAME N             it has got N mails so far
//	logins NAME MIN MAX         it has refused so many logins
//	server NAME FILE [WORD...]  start a server that plays a transcript of smtptest; a
//	                            C+ line compares with the script's file of that name
//	served NAME                 wait for the end of a session; it went as the transcript
//	refusing NAME               find a port that refuses connections
//	idle NAME...                nobody has connected to it
//	proxy NAME [USER:PASSWORD]  start a SOCKS5 proxy, which leads every name to this machine
//
//	activate NAME ARG...        start sendoff with a loopback port that is already
//	                            open, as a socket unit does, until the script ends
//
//	play FILE                   a program, for pipe:, that plays a transcript on its
//	                            standard input and output, and notes the outcome in
//	                            FILE.outcome; with a second word it does not end then
//
//	nameserver FILE [no-edns]   start a name server with the records NAME TYPE DATA of
//	                            the file, for --setup; perhaps one that knows no EDNS0
//	website NAME FILE           start an HTTPS server with the pages HOST PATH FILE of the
//	                            file, or with HOST PATH URL to lead on; NAME.asked is what
//	                            it was asked for
//	route FROM TO               lead --setup's connections to FROM (HOST:PORT) to TO
//	terminal CODE FILE PROGRAM ARG...
//	                            run it in a pseudo-terminal (on Linux), where a person
//	                            does what the lines of the file say: "< TEXT" waits for
//	                            the text, "> TEXT" types it, "* TEXT" types it where it
//	                            is not shown, "^D" ends the input, "^C" interrupts, "^C unseen" as soon as
//	                            nothing is shown; the whole screen is in the file screen
//	trust NAME...               the authorities of these servers are all that there are
//
//	account NAME [LINE...]      write config.toml with the account work for a smarthost,
//	                            with more or other settings, and point SENDOFF_CONFIG there
//	config FILE [as-is]         expand variables in a file, and point SENDOFF_CONFIG
//	                            there; without a queue, unless it names one or stays as it is
//	narrow N FILE               no line of the file has more than N columns
//	until REGEXP PROGRAM ARG... run it again and again until its output has a line like that
//
// The words say how a server speaks (tls: from the start, which smarthost does
// unless told starttls, plain or unix; unix: on a socket whose path is $NAME_ADDR;
// noauth: without a login; old: TLS 1.1; rsa-exchange: TLS 1.2 without forward
// secrecy; asks: wants a client certificate;
// leaves: hangs up after the final dot; refuses: takes no mail; for:HOST: its
// certificate is for HOST too) and what is wrong with its certificate (see
// certificates). It has the address $NAME_ADDR, the port $NAME_PORT, and the
// authority NAME.pem, with its key in NAME.key, and the fingerprint $NAME_PIN. The condition [pristine] is a
// machine without a configuration of the system's, [init] one whose first
// process outlives others. The system's sendmail and, but on Windows, its
// configuration are looked for below $WORK.
package submit_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"sendoff/submit/process"
	"sendoff/submit/smtp/smtptest"
)

// TestMain lets the test binary be the program play as well. Signals that are
// ignored here (nohup, a job in the background) are caught instead: the programs
// that the tests start shall not ignore them.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "play" {
		play(os.Args[1:])
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	code := m.Run()
	os.RemoveAll(built.bin)
	os.Exit(code)
}

// play serves the other end of a pipe. The sockets may be a pair or two.
func play(args []string) {
	outcome := func(err error) {
		os.WriteFile(args[0]+".outcome", fmt.Appendln(nil, err), 0o600)
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "play:", err)
		os.Exit(1)
	}
	transcript, err := smtptest.Parse(args[0], string(text))
	if err == nil {
		var conn net.Conn
		if conn, err = net.FileConn(os.Stdin); err == nil {
			os.Stdin.Close()
			os.Stdout.Close()
			err = transcript.Serve(conn)
		}
	}
	outcome(err)
	if len(args) > 1 {
		select {}
	}
	os.Exit(0)
}

func TestScript(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(2 * time.Minute), // for what hangs
		Setup:              func(e *testscript.Env) error { return setup(e, bin) },
		Condition:          condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":      command(1, func(ts *testscript.TestScript, args []string) { run(ts, args, false) }),
			"print":     command(1, func(ts *testscript.TestScript, args []string) { run(ts, args, true) }),
			"says":      command(0, says),
			"shows":     command(1, shows),
			"findings":  command(1, findings),
			"inits":     command(2, inits),
			"hides":     command(2, hides),
			"smarthost": command(1, smarthost),
			"received":  command(2, received),
			"server":    command(2, scripted),
			"served":    command(1, served),
			"refusing":  command(1, refusing),
			"idle":      command(1, idle),
			"proxy":     command(1, socks),
			"account":   command(1, account),
			"config":    command(1, config),
			"until":     command(2, until),
			"logins":    command(3, logins),
			"activate":  command(2, activate),

			"nameserver": command(1, nameserver),
			"website":    command(2, website),
			"route":      command(2, route),
			"trust":      command(1, trust),
			"terminal":   command(3, onTerminal),
			"narrow":     command(2, narrow),
		},
	})
}

// command makes a command of do that has at least least arguments.
func command(least int, do func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		if not || len(args) < least {
			ts.Fatalf("see the head of script_test.go for this command")
		}
		do(ts, args)
	}
}

// setup makes a home where nobody else can read or write, and an environment
// that knows nothing of whoever runs the tests.
func setup(e *testscript.Env, bin string) error {
	e.Values[serversKey{}] = servers{}
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("SENDOFF_TEST_HOME", e.WorkDir)
	e.Setenv("XDG_CONFIG_HOME", e.WorkDir)
	e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	e.Setenv("BIN", bin)
	e.Setenv("LC_ALL", "C")
	return filepath.WalkDir(e.WorkDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.Chmod(path, 0o700))
		}
		return os.Chmod(path, 0o600)
	})
}

func condition(name string) (bool, error) {
	switch name {
	case "pristine":
		_, err := os.Stat("/etc/sendoff/config.toml")
		return errors.Is(err, fs.ErrNotExist), nil
	case "root":
		return os.Geteuid() == 0, nil
	case "init":
		_, try := process.Outlives()
		return try, nil
	}
	return false, fmt.Errorf("unknown condition")
}

func run(ts *testscript.TestScript, args []string, mayPrint bool) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	if !mayPrint && ts.ReadFile("stdout") != "" {
		ts.Fatalf("something on stdout")
	}
}

func until(ts *testscript.TestScript, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout") + ts.ReadFile("stderr"); want.MatchString(out) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("no line like %s in\n%s", args[0], out)
		}
	}
}

func says(ts *testscript.TestScript, want []string) {
	got := slices.Collect(strings.Lines(ts.ReadFile("stderr")))
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			ts.Fatalf("stderr has more: %s", got[i])
		case i >= len(got):
			ts.Fatalf("stderr lacks: %s", want[i])
		}
		line := strings.TrimSuffix(got[i], "\n")
		begin, open := strings.CutSuffix(want[i], "…")
		if open && !strings.HasPrefix(line, begin) || !open && line != want[i] {
			ts.Fatalf("stderr line %d:\n got %s\nwant %s", i+1, line, want[i])
		}
	}
}

func shows(ts *testscript.TestScript, args []string) {
	want := slices.Collect(strings.Lines(os.Expand(ts.ReadFile(args[0]), ts.Getenv)))
	got := slices.Collect(strings.Lines(ts.ReadFile("stdout")))
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			ts.Fatalf("stdout has more: %s", got[i])
		case i >= len(got):
			ts.Fatalf("stdout lacks: %s", want[i])
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want[i]), "…", ".*")
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got[i]) {
			ts.Fatalf("stdout line %d:\n got %swant %s", i+1, got[i], want[i])
		}
	}
}

func findings(ts *testscript.TestScript, want []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.DisallowUnknownFields()
	for {
		var f struct {
			Check, Result, Text, Hint string
			Exit                      int
		}
		if err := d.Decode(&f); err == io.EOF {
			break
		} else if err != nil {
			ts.Fatalf("stdout: %v", err)
		}
		if f.Text == "" || (f.Result == "fail") != (f.Exit > 0) {
			ts.Fatalf("%+v", f)
		}
		if len(want) > 0 && want[0] == f.Check+"="+f.Result {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		ts.Fatalf("no finding %s", want[0])
	}
}

func narrow(ts *testscript.TestScript, args []string) {
	columns, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > columns {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}

func inits(ts *testscript.TestScript, args []string) {
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	var got [2][]string // of all others, and of Go's library
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes`).FindAllStringSubmatch(ts.ReadFile("stderr"), -1) {
		words := strings.Split(m[1], "/")
		switch {
		case words[0] == "sendoff" || strings.Contains(words[0], "."):
			if n, _ := strconv.Atoi(m[2]); n > most {
				ts.Fatalf("%s allocates %d octets before main", m[1], n)
			}
			got[0] = append(got[0], m[1])
		case words[0] != "vendor" && !slices.Contains(words, "internal"):
			got[1] = append(got[1], m[1])
		}
	}
	for i, file := range args[1:] {
		want := strings.Fields(ts.ReadFile(file))
		for _, name := range got[i] {
			if !slices.Contains(want, name) {
				ts.Fatalf("%s does something before main, but is not in %s", name, file)
			}
		}
		for _, name := range want {
			if !slices.Contains(got[i], name) {
				ts.Fatalf("%s is in %s, but does nothing before main", name, file)
			}
		}
	}
}

func hides(ts *testscript.TestScript, args []string) {
	user, secret := args[0], args[1]
	encode := base64.StdEncoding.EncodeToString
	for _, text := range []string{secret, encode([]byte(secret)), encode([]byte("\x00" + user + "\x00" + secret))} {
		for _, stream := range []string{"stdout", "stderr"} {
			if strings.Contains(ts.ReadFile(stream), text) {
				ts.Fatalf("%s shows %q", stream, text)
			}
		}
	}
}
