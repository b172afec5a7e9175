//go:build bench && linux

package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A client is a program that submits the message on its standard input.
type client struct {
	name string
	// command returns nil where the client cannot do that.
	command func(d *desk, s *server, to []string) *exec.Cmd
}

// clients are sendoff, in its two ways, and its peers with their own defaults.
var clients = []client{
	{"sendoff", func(d *desk, s *server, to []string) *exec.Cmd { return d.sendoff(s, to, false) }},
	{"one-flight", func(d *desk, s *server, to []string) *exec.Cmd { return d.sendoff(s, to, true) }},
	{"msmtp", (*desk).msmtp},
	{"curl", (*desk).curl},
	{"swaks", (*desk).swaks},
	{"esmtp", (*desk).esmtp},
	{"dma", (*desk).dma},
	{"Exim", (*desk).exim},
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
	notes         map[cell]float64
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

// esmtp knows STARTTLS, but no implicit TLS. After the session tickets of TLS 1.3
// it waits for ever, so it is kept to TLS 1.2.
func (d *desk) esmtp(s *server, to []string) *exec.Cmd {
	text := fmt.Sprintf("hostname = localhost:%d\nhelo = client.example\n", s.port)
	switch s.security {
	case "tls":
		return nil
	case "starttls":
		text += fmt.Sprintf("username = %q\npassword = %q\nstarttls = required\n", user, password)
	}
	cmd := exec.Command("esmtp", append([]string{"-C", d.file(fmt.Sprintf("%d.esmtprc", s.port), text), "-f", user}, to...)...)
	old := d.file("openssl.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.2\n")
	cmd.Env = append(cmd.Env, "OPENSSL_CONF="+old)
	return cmd
}

// A cost is what one run of a program took.
type cost struct {
	wall, cpu time.Duration
	rss       int // kB at most, 0 if not measured
}

// patience is how long a program may run; then it is ended with all that it has
// started, and counts as one that took so long.
const patience = time.Minute

// run runs cmd with what message writes on a pipe as its standard input, if it
// has none.
func (d *desk) run(cmd *exec.Cmd, message func(io.Writer) error) (cost, error) {
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+d.dir, "LC_ALL=C")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	var stdin io.WriteCloser
	if cmd.Stdin == nil {
		var err error
		if stdin, err = cmd.StdinPipe(); err != nil {
			return cost{}, err
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	end := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if stdin != nil {
		message(stdin)
		stdin.Close()
	}
	err := cmd.Wait()
	c := cost{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if end.Stop() && err != nil {
		return c, fmt.Errorf("%w: %.200s", err, said.String())
	}
	return c, nil
}

// peak runs cmd once more, under time(1): a child of this process would count
// the memory that it had in common with its parent before exec(2).
func (d *desk) peak(cmd *exec.Cmd, message func(io.Writer) error) (int, error) {
	out := filepath.Join(d.dir, "peak")
	timed := exec.Command("/usr/bin/time", append([]string{"-f", "%M", "-o", out}, cmd.Args...)...)
	timed.Env, timed.Stdin = cmd.Env, cmd.Stdin
	if _, err := d.run(timed, message); err != nil {
		return 0, err
	}
	text, _ := os.ReadFile(out) // none of a program that was ended
	kB := 0
	fmt.Sscan(string(text), &kB)
	return kB, nil
}
