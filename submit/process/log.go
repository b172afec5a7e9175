package process

import (
	"os"
	"time"
)

// A LogFile is a file that is only added to. Once it has been renamed or removed,
// as logrotate does, what follows goes into a new file under its own name.
type LogFile struct {
	path   string
	file   *os.File
	looked time.Time // when the file was last seen to have its name
}

// logLook is how often a LogFile looks which file has its name.
const logLook = time.Second

// OpenLog opens a file to append lines to, and makes it if there is none, for
// the user alone. It waits for nobody.
func OpenLog(path string) (*LogFile, error) {
	file, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &LogFile{path, file, time.Now()}, nil
}

func (l *LogFile) Write(text []byte) (int, error) {
	if time.Since(l.looked).Abs() >= logLook {
		l.looked = time.Now()
		l.follow()
	}
	return l.file.Write(text)
}

// follow opens the file anew if another one has its name, or none. If it cannot,
// the lines still go into the file as it was.
func (l *LogFile) follow() {
	ours, err := l.file.Stat()
	if err != nil {
		return
	}
	if named, err := os.Stat(l.path); err == nil && os.SameFile(ours, named) {
		return
	}
	if file, err := openLog(l.path); err == nil {
		l.file.Close()
		l.file = file
	}
}
