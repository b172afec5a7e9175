package process

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// taken is the variables that TakeVariable has taken out of the environment.
var taken = struct {
	sync.Mutex
	values map[string]string
}{values: make(map[string]string)}

// TakeVariable returns a variable of the environment that holds a secret, and takes
// it out: no program that this process starts gets it but the one of Start, and
// where the system allows it, nobody sees it in the environment of this process any
// more.
func TakeVariable(name string) (value string, ok bool) {
	taken.Lock()
	defer taken.Unlock()
	if value, ok := os.LookupEnv(name); ok {
		os.Unsetenv(name)
		wipe(name)
		taken.values[name] = value
	}
	value, ok = taken.values[name]
	return value, ok
}

// handOver returns the end of a pipe from which the program of Start reads what was
// taken, and what writes it there; nil if that is nothing.
func handOver() (end *os.File, write func(), err error) {
	taken.Lock()
	defer taken.Unlock()
	if len(taken.values) == 0 {
		return nil, func() {}, nil
	}
	var text strings.Builder
	for name, value := range taken.values {
		text.WriteString(name + "=" + value + "\x00")
	}
	end, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return end, func() {
		end.Close()
		w.SetWriteDeadline(time.Now().Add(handOverTime))
		io.WriteString(w, text.String())
		w.Close()
	}, nil
}

// handOverTime is how long the new program may take until it reads.
const handOverTime = 5 * time.Second

// ReceiveVariables reads in the program of Start what was taken from the environment
// of the process that has started it.
func ReceiveVariables() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	text, _ := io.ReadAll(os.Stdin)
	taken.Lock()
	defer taken.Unlock()
	for _, line := range strings.Split(string(text), "\x00") {
		if name, value, ok := strings.Cut(line, "="); ok {
			taken.values[name] = value
		}
	}
	closeStdin()
}
