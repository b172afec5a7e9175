//go:build bench && linux

package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A client is a program that submits the message on its standard input.
type client struct {
	name    string
	command func(d *desk, s *server, to []string) *exec.Cmd
}

// clients are sendoff, in its two ways, and its peers with their own defaults.
var clients = []client{
	{"sendoff", func(d *desk, s *server, to []string) *exec.Cmd { return d.sendoff(s, to, false) }},
	{"one-flight", func(d *desk, s *server, to []string) *exec.Cmd { return d.sendoff(s, to, true) }},
	{"msmtp", (*desk).msmtp},
	{"curl", (*desk).curl},
	{"swaks", (*desk).swaks},
}

const (
	user     = "ann@example.org"
	password = "correct horse battery"
)

// A desk is a folder with the programs' configurations.
type desk struct {
	t      *testing.T
	dir    string
	binary string
	floor  string // the program of testdata/floor
	// authority is the file of the server's authority, and ca the same, or "" where the
	// system's store has the authority.
	authority, ca string
}

func (d *desk) file(name, text string) string {
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *desk) sendoff(s *server, to []string, oneFlight bool) *exec.Cmd {
	scheme := map[string]string{"plain": "smtp+plain", "tls": "smtps", "starttls": "smtp"}[s.security]
	text := fmt.Sprintf("hostname = \"client.example\"\nqueue = \"off\"\nlog = \"off\"\n[accounts.bench]\nserver = \"%s://localhost:%d\"\nfrom = \"%s\"\n", scheme, s.port, user)
	if s.security != "plain" {
		text += fmt.Sprintf("user = \"%s\"\nsecret = \"file:%s\"\nauth = \"PLAIN\"\n", user, d.file("secret", password+"\n"))
		if d.ca != "" {
			text += fmt.Sprintf("tls-ca = %q\n", d.ca)
		}
	}
	if oneFlight {
		text += "one-flight = true\n"
	}
	name := fmt.Sprintf("%d-%t.toml", s.port, oneFlight)
	return exec.Command(d.binary, append([]string{"--config", d.file(name, text)}, to...)...)
}

// theFloor reads its one authority from a file, so the system's store costs it
// nothing.
func (d *desk) theFloor(s *server, to []string) *exec.Cmd {
	return exec.Command(d.floor, append([]string{fmt.Sprint(s.port), d.authority, user, password, user}, to...)...)
}

func (d *desk) msmtp(s *server, to []string) *exec.Cmd {
	text := fmt.Sprintf("account default\nhost localhost\nport %d\nfrom %s\ndomain client.example\n", s.port, user)
	if s.security != "plain" {
		text += fmt.Sprintf("tls on\nauth plain\nuser %s\npassword %s\n", user, password)
		if d.ca != "" {
			text += "tls_trust_file " + d.ca + "\n"
		}
	}
	if s.security == "tls" {
		text += "tls_starttls off\n"
	}
	return exec.Command("msmtp", append([]string{"-C", d.file(fmt.Sprintf("%d.msmtprc", s.port), text)}, to...)...)
}

func (d *desk) curl(s *server, to []string) *exec.Cmd {
	scheme := "smtp"
	if s.security == "tls" {
		scheme = "smtps"
	}
	args := []string{"-q", "-sS", "--url", fmt.Sprintf("%s://localhost:%d/client.example", scheme, s.port), "--mail-from", user, "-T", "-"}
	if s.security != "plain" {
		args = append(args, "--ssl-reqd", "-u", user+":"+password, "--login-options", "AUTH=PLAIN")
		if d.ca != "" {
			args = append(args, "--cacert", d.ca)
		}
	}
	for _, a := range to {
		args = append(args, "--mail-rcpt", a)
	}
	return exec.Command("curl", args...)
}

func (d *desk) swaks(s *server, to []string) *exec.Cmd {
	args := []string{"--server", "localhost", "--port", fmt.Sprint(s.port), "--helo", "client.example", "--from", user,
		"--to", strings.Join(to, ","), "--data", "-", "--hide-all"}
	if s.security != "plain" {
		args = append(args, "--auth", "PLAIN", "--auth-user", user, "--auth-password", password, "--tls-verify")
		if d.ca != "" {
			args = append(args, "--tls-ca-path", d.ca)
		}
	}
	switch s.security {
	case "tls":
		args = append(args, "--tls-on-connect")
	case "starttls":
		args = append(args, "--tls")
	}
	return exec.Command("swaks", args...)
}

// A cost is what one run of a program took.
type cost struct {
	wall, cpu time.Duration
	rss       int // kB at most, 0 if not measured
}

// run runs cmd with what message writes on a pipe as its standard input.
func (d *desk) run(cmd *exec.Cmd, message func(io.Writer) error) (cost, error) {
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+d.dir, "LC_ALL=C")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return cost{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	message(stdin)
	stdin.Close()
	err = cmd.Wait()
	c := cost{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if err != nil {
		return c, fmt.Errorf("%w: %.200s", err, said.String())
	}
	return c, nil
}

// peak runs cmd once more, under time(1): a child of this process would count
// the memory that it had in common with its parent before exec(2).
func (d *desk) peak(cmd *exec.Cmd, message func(io.Writer) error) (int, error) {
	out := filepath.Join(d.dir, "peak")
	timed := exec.Command("/usr/bin/time", append([]string{"-f", "%M", "-o", out}, cmd.Args...)...)
	timed.Env = cmd.Env
	if _, err := d.run(timed, message); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(out)
	kB := 0
	fmt.Sscan(string(text), &kB)
	return kB, err
}
