//go:build e2e && linux

package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// byTheRuntime are system calls that Go makes for its threads. Their number depends on luck.
var byTheRuntime = regexp.MustCompile(`^(futex|nanosleep|sched_|epoll_|madvise|rt_sig|sigaltstack|clone|tgkill|gettid|getpid|restart_syscall|set_robust_list|rseq)`)

// maxThreads is half as many again as a process has: on a slow machine the runtime starts a
// thread for each call that takes long.
const maxThreads = 15

// TestBudget counts the system calls of one process: at most a fifth more than when the test
// was written, and exactly the syncs that a crash needs.
func TestBudget(t *testing.T) {
	s := mail(t)
	installed(t, "strace")
	queue := filepath.Join(home(t), "queue")
	to := s.box()
	env := []string{"SENDOFF_CONFIG=" + configQueue(t, s.account(t, nil), `queue = "`+queue+`"`, `runner = "off"`)}
	call{args: []string{"-odq", to}, env: env, stdin: header + "\nThis makes the folders.\n"}.succeeds(t)
	call{args: []string{"-q"}, env: env}.succeeds(t)
	for _, tt := range []struct {
		name         string
		args         []string
		calls, syncs int
	}{
		{"version", []string{"--version"}, 66, 0},
		{"send", []string{to}, 315, 0},
		{"queue", []string{"-odq", to}, 220, 3}, // message, envelope, folder
		{"deliver", []string{"-q"}, 520, 1},     // folder
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := filepath.Join(home(t), "trace")
			call{
				under: []string{"strace", "-f", "-qq", "-o", trace}, args: tt.args,
				env: append(env, "GOMAXPROCS=2"), stdin: header + "\nIt works.\n",
			}.run(t)
			calls, threads, syncs := traced(read(trace))
			t.Logf("%d calls, %d threads, %d syncs", len(calls), threads, syncs)
			if len(calls) > tt.calls || threads > maxThreads || syncs != tt.syncs {
				t.Errorf("want at most %d calls and %d threads, and %d syncs: %q", tt.calls, maxThreads, tt.syncs, slices.Sorted(slices.Values(calls)))
			}
		})
	}
	s.fetch(t, to, 3)
}

// traced returns the system calls in the output of strace that do not depend on luck, and how
// many threads and syncs there were.
func traced(text string) (calls []string, threads, syncs int) {
	pids := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\(`).FindAllStringSubmatch(text, -1) {
		pids[m[1]] = true
		if !byTheRuntime.MatchString(m[2]) {
			calls = append(calls, m[2])
		}
		if strings.Contains(m[2], "sync") {
			syncs++
		}
	}
	return calls, len(pids), syncs
}

// TestManyArguments names all recipients of a long list on the command line.
func TestManyArguments(t *testing.T) {
	args := []string{"--dry-run"}
	for i := range 30_000 {
		args = append(args, fmt.Sprintf("r%d@example.org", i))
	}
	env := []string{"SENDOFF_SERVER=smtp+plain://127.0.0.1:9", "SENDOFF_FROM=ann@example.org"}
	r := call{args: args, env: env, stdin: header + "\nIt works.\n"}.run(t)
	if r.exit != 0 || !strings.Contains(r.stdout, "r29999@example.org") {
		t.Errorf("exit %d, stdout %.300q, stderr %.300q", r.exit, r.stdout, r.stderr)
	}
}
