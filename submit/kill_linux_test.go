package submit_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKill kills the real binary at random moments, submissions and runs of the
// queue, up to 16 at once, while the server accepts, defers, refuses, hangs and
// drops the connection. Then it lets the rest through, and holds each exit code
// against what the server got: nothing that was promised is lost, nothing is
// half, and nothing comes twice that need not. SENDOFF_KILLS is how many
// submissions there are.
func TestKill(t *testing.T) {
	count := 2000
	if n, err := strconv.Atoi(os.Getenv("SENDOFF_KILLS")); err == nil {
		count = n
	}
	if testing.Short() {
		count = 50
	}
	k := newKilling(t, count)
	k.submitAll(count)
	k.server.calm.Store(true)
	k.drain()
	k.reconcile()
}

// An outcome is what the caller of a submission knows.
type outcome struct {
	code   int
	killed bool
}

type killing struct {
	t      *testing.T
	dir    string
	binary string
	server *moody

	mu       sync.Mutex
	outcomes map[int]outcome
	killed   map[int]bool // by pid
}

func newKilling(t *testing.T, count int) *killing {
	k := &killing{t: t, dir: t.TempDir(), binary: filepath.Join(build(t), "sendoff"), outcomes: make(map[int]outcome), killed: make(map[int]bool)}
	k.server = newMoody(t, filepath.Join(k.dir, "MX.sock"))
	text := fmt.Sprintf(`hostname = "client.example"
queue = %q
runner = "off"
log = "off"
retry = ["20ms", "100ms"]
[accounts.work]
server = "unix:%s"
from = "ann@example.org"
timeout = "2s"
`, filepath.Join(k.dir, "queue"), filepath.Join(k.dir, "MX.sock"))
	if err := os.WriteFile(filepath.Join(k.dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// run runs the binary, and kills it after a random while, or not.
func (k *killing) run(stdin string, kill time.Duration, args ...string) outcome {
	cmd := exec.Command(k.binary, args...)
	cmd.Env = append(os.Environ(), "SENDOFF_CONFIG="+filepath.Join(k.dir, "config.toml"))
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		k.t.Error(err)
		return outcome{code: -1}
	}
	if kill > 0 {
		stop := time.AfterFunc(kill, func() {
			k.mu.Lock()
			k.killed[cmd.Process.Pid] = true // before it is: a delivery of it may count as unrecorded
			k.mu.Unlock()
			cmd.Process.Kill()
		})
		defer stop.Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		k.t.Error(err)
	}
	state := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return outcome{code: cmd.ProcessState.ExitCode(), killed: state.Signaled()}
}

// message is the i-th, whose content can be told from i.
func message(i int) string {
	lines := 1 + i%7*i%400
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return fmt.Sprintf("Subject: %d\r\nFrom: ann@example.org\r\nDate: x\r\nMessage-ID: <%d@example.org>\r\n\r\n%s", i, i, strings.Repeat(fmt.Sprintf("%x\r\n", sum), lines))
}

// submitAll submits count messages, and runs the queue in between.
func (k *killing) submitAll(count int) {
	work := make(chan int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range work {
				kill := time.Duration(0)
				if rand.IntN(3) > 0 {
					kill = rand.N(30 * time.Millisecond)
				}
				if i < 0 {
					k.run("", kill*4, "-q")
					continue
				}
				args := []string{fmt.Sprintf("r%d@example.net", i)}
				if rand.IntN(4) == 0 {
					args = append([]string{"-odq"}, args...)
				}
				o := k.run(message(i), kill, args...)
				k.mu.Lock()
				k.outcomes[i] = o
				k.mu.Unlock()
			}
		})
	}
	for i := range count {
		work <- i
		if i%5 == 4 {
			work <- -1
		}
	}
	close(work)
	all.Wait()
}

// drain runs the queue until it is empty, two runs at once.
func (k *killing) drain() {
	for deadline := time.Now().Add(time.Minute); ; {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { k.run("", 0, "-q") })
		}
		both.Wait()
		names, err := os.ReadDir(filepath.Join(k.dir, "queue"))
		if err != nil {
			k.t.Fatal(err)
		}
		var left []string
		for _, name := range names {
			if strings.Contains(name.Name(), ".e") || strings.HasSuffix(name.Name(), ".tmp") {
				left = append(left, name.Name())
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("stuck: %q", left)
		}
	}
}

// reconcile holds what callers were told against what the server got.
func (k *killing) reconcile() {
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[int]bool) // in failed
	files, _ := filepath.Glob(filepath.Join(k.dir, "queue", "failed", "*.eml"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if i, ok := k.number(string(text)); ok {
			kept[i] = true
		}
	}
	killed, lost, twice, exits := 0, 0, 0, make(map[int]int)
	for i, o := range k.outcomes {
		if o.killed {
			killed++
		} else {
			exits[o.code]++
		}
		// One whose client was killed may be read late.
		slices.SortFunc(s.deliveries[i], func(a, b delivery) int { return a.began - b.began })
		for n, d := range s.deliveries[i] {
			if d.answered && !k.killed[d.pid] {
				if n < len(s.deliveries[i])-1 {
					k.t.Errorf("message %d: delivered again after it was taken for sure: %+v", i, s.deliveries[i])
				}
			}
		}
		if len(s.deliveries[i]) > 1 {
			twice++
		}
		if !o.killed && o.code == 0 && len(s.deliveries[i]) == 0 && !s.refused[i] {
			lost++
			k.t.Errorf("message %d: exit 0, but it is nowhere", i)
		}
		if !o.killed && o.code == 0 && s.refused[i] && len(s.deliveries[i]) == 0 && s.notices[i] == 0 && !kept[i] {
			k.t.Errorf("message %d: refused after exit 0, and nobody was told", i)
		}
		if !o.killed && o.code != 0 && o.code != 67 && o.code != 69 && o.code != 75 {
			k.t.Errorf("message %d: exit %d", i, o.code)
		}
	}
	for _, wrong := range s.corrupt {
		k.t.Errorf("corrupted: %q", wrong)
	}
	k.t.Logf("%d submissions, %d killed, exits %v; %d lost; %d delivered twice, each with an answer that nobody could record; %d runs killed",
		len(k.outcomes), killed, exits, lost, twice, len(k.killed)-killed)
}

var subject = regexp.MustCompile(`(?m)^Subject: (\d+)\r?$`)

// number returns which message text is, or is the notice of.
func (k *killing) number(text string) (int, bool) {
	m := subject.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	i, err := strconv.Atoi(m[1])
	return i, err == nil
}

// A delivery is a message that a moody server has got whole.
type delivery struct {
	pid      int
	began    int  // in which order these were
	answered bool // and has said so
}

// A moody server treats each message as it likes, until it is calm.
type moody struct {
	net.Listener
	calm    atomic.Bool
	data354 atomic.Int64 // how many messages were begun

	mu         sync.Mutex
	deliveries map[int][]delivery
	refused    map[int]bool
	notices    map[int]int
	corrupt    []string
}

func newMoody(t *testing.T, path string) *moody {
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &moody{Listener: l, deliveries: make(map[int][]delivery), refused: make(map[int]bool), notices: make(map[int]int)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn.(*net.UnixConn))
		}
	}()
	return s
}

// peer returns the process at the other end.
func peer(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// mood returns true once in n times, unless the server is calm.
func (s *moody) mood(n int) bool { return !s.calm.Load() && rand.IntN(n) == 0 }

func (s *moody) serve(conn *net.UnixConn) {
	defer conn.Close()
	pid := peer(conn)
	r := bufio.NewReader(conn)
	say := func(text string) bool {
		_, err := fmt.Fprintf(conn, "%s\r\n", text)
		return err == nil
	}
	if s.mood(20) {
		return
	}
	say("220 mx ESMTP")
	refused := false
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch verb {
		case "EHLO":
			say("250-mx\r\n250 PIPELINING")
		case "RCPT":
			to = line
			refused = s.mood(15)
			switch {
			case refused:
				s.refuse(line)
				say("550 5.0.0 never")
			case s.mood(8):
				refused = true
				say("450 4.0.0 later")
			case s.mood(30):
				time.Sleep(rand.N(50 * time.Millisecond)) // hangs, and leaves
				return
			default:
				say("250 ok")
			}
		case "DATA":
			if refused {
				say("503 5.5.1 no recipient")
				continue
			}
			began := int(s.data354.Add(1))
			say("354 go")
			if !s.data(r, delivery{pid: pid, began: began}, to, say) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *moody) refuse(rcpt string) {
	if m := regexp.MustCompile(`<r(\d+)@`).FindStringSubmatch(rcpt); m != nil {
		i, _ := strconv.Atoi(m[1])
		s.mu.Lock()
		s.refused[i] = true
		s.mu.Unlock()
	}
}

// data takes a message; false ends the connection.
func (s *moody) data(r *bufio.Reader, d delivery, to string, say func(string) bool) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(line)
	}
	if s.mood(10) {
		return say("451 4.0.0 later")
	}
	if s.mood(20) {
		s.refuse(to)
		return say("554 5.0.0 never")
	}
	silent := s.mood(10)
	d.answered = !silent // what is said may be heard, so it counts as heard
	s.keep(b.String(), d)
	if silent {
		time.Sleep(rand.N(20 * time.Millisecond))
		return false
	}
	return say("250 ok")
}

// keep notes a message that was got whole. It is the server's from here on.
func (s *moody) keep(text string, d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := subject.FindStringSubmatch(text)
	if m == nil {
		s.corrupt = append(s.corrupt, text)
		return
	}
	i, _ := strconv.Atoi(m[1])
	if strings.Contains(text, "multipart/report") {
		s.notices[i]++
		return
	}
	if text != message(i) {
		s.corrupt = append(s.corrupt, text)
		return
	}
	s.deliveries[i] = append(s.deliveries[i], d)
}
