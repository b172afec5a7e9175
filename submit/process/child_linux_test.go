package process

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// become returns the output of a process that has become another user.
func become(what string) {
	uid := 987654
	if what == "bare" {
		undumpable = func() error { return unix.EPERM }
	}
	if err := Become(uid, what == "list"); err != nil {
		fmt.Println(err)
		return
	}
	groups, _ := os.Getgroups()
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	fmt.Println("ids", os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), groups, "dumpable", dumpable)
	var memory, cpu syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_AS, &memory)
	syscall.Getrlimit(syscall.RLIMIT_CPU, &cpu)
	fmt.Println("memory", memory.Cur < 8<<30, memory.Max == unix.RLIM_INFINITY, "cpu", cpu.Cur == childCPU, cpu.Max == childCPU)
	cmd := exec.Command("/bin/sh", "-c", "echo command $(ulimit -v) $(ulimit -t) $HOME")
	cmd.Stdout = os.Stdout
	if err := RunCommand(cmd); err != nil {
		fmt.Println(err)
	}
	syscall.Getrlimit(syscall.RLIMIT_AS, &memory)
	fmt.Println("afterwards", memory.Cur < 8<<30)
	if syscall.Setuid(0) == nil || syscall.Setgroups([]int{0}) == nil {
		fmt.Println("root again")
	}
}

func TestBecome(t *testing.T) {
	if what := os.Getenv("BECOME"); what != "" {
		become(what)
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	var memory, cpu syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_AS, &memory)
	syscall.Getrlimit(syscall.RLIMIT_CPU, &cpu)
	if memory.Cur != unix.RLIM_INFINITY || cpu.Cur != unix.RLIM_INFINITY {
		t.Skip("this root has limits of its own")
	}
	for what, want := range map[string]string{
		"list": "ids 987654 987654 65534 65534 [] dumpable 0\nmemory true false cpu true true\n",
		"run":  "ids 987654 987654 65534 65534 [] dumpable 0\nmemory true true cpu false false\ncommand unlimited unlimited\nafterwards true\n",
		"bare": unix.EPERM.Error() + "\n",
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestBecome$")
		cmd.Env, cmd.Dir = []string{"BECOME=" + what}, "/"
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) || strings.Contains(string(out), "root again") {
			t.Errorf("%s: %v\n%swant\n%s", what, err, out, want)
		}
	}
}

// TestWithoutKeys proves that the started function finds no key of ours, and that no other
// goroutine runs in the thread with the empty keyring.
func TestWithoutKeys(t *testing.T) {
	_, err := unix.AddKey("user", "sendoff-test", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	if err != nil {
		t.Skip("no keyrings here:", err)
	}
	session := func() int {
		ring, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	ours, theirs := session(), 0
	keyring, err := withoutKeys(func() error {
		theirs = session()
		_, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "sendoff-test", 0)
		if err == nil {
			t.Error("the key is found")
		}
		return nil
	}, false)
	if keyring != nil || err != nil || theirs == ours {
		t.Errorf("%v, %v, keyring %d beside ours, %d", keyring, err, theirs, ours)
	}
	for range 100 {
		done := make(chan int)
		go func() { done <- session() }()
		if ring := <-done; ring != ours {
			t.Fatalf("keyring %d of another thread, ours is %d", ring, ours)
		}
	}
}
