package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A queue is a folder in which another program stores mail that it could not send yet.
type queue struct {
	program string // a name in programs; the queue of a program that is not imported is reported only if it contains mail
	name    string // the name in the report
	folder  string
	below   string                   // the subfolders with messages; ".": folder itself
	message func(file string) string // returns which message a file belongs to; "": none
	send    string                   // the command that sends the messages
}

// queues has the queues of other programs.
var queues = [...]queue{
	{"msmtp", "msmtpq's queue", "~/.msmtp.queue", ".", mailFile, "msmtp-queue -r"},
	{"msmtp", "msmtpqueue's queue", "~/.msmtpqueue", ".", mailFile, "msmtp-runqueue.sh"},
	{"nullmailer", "nullmailer's queue", "/var/spool/nullmailer/queue", ".", anyFile, "sudo service nullmailer restart"},
	{"dma", "dma's queue", "/var/spool/dma", ".", dmaFile, "sudo dma -q"},
	{"Postfix", "Postfix's queue", "/var/spool/postfix", "maildrop incoming active deferred", anyFile, "sudo postqueue -f"},
}

// debianScripts is the folder with Debian's scripts of msmtpq, which call each other
// through PATH.
const debianScripts = "/usr/libexec/msmtp/msmtpq"

func anyFile(file string) string { return file }

// mailFile returns the message of a file NAME.mail; a second file of the message has its
// recipients.
func mailFile(file string) string {
	if strings.HasSuffix(file, ".mail") {
		return file
	}
	return ""
}

// dmaFile returns the message of a file QMESSAGE.RECIPIENT; there is one for each
// recipient.
func dmaFile(file string) string {
	message, _, _ := strings.Cut(file, ".")
	if strings.HasPrefix(message, "Q") {
		return message
	}
	return ""
}

// Waiting returns a line for each queue with mail, with the command that sends it. After
// sendoff has replaced the program, nobody would look into that queue.
func (r *Reading) Waiting() []string {
	var all []string
	for _, q := range queues {
		folder := r.place(q.folder)
		if q.program == r.Program && r.queue != "" {
			folder = r.queue
		}
		if _, err := os.Stat(r.place(debianScripts)); err == nil && q.name == "msmtpq's queue" {
			q.send = "PATH=$PATH:" + debianScripts + " " + q.send
		}
		switch n, err := q.count(folder); {
		case n == 1:
			all = append(all, fmt.Sprintf("1 message is in %s, %s; send it first: %s", q.name, folder, q.send))
		case n > 1:
			all = append(all, fmt.Sprintf("%d messages are in %s, %s; send them first: %s", n, q.name, folder, q.send))
		case q.program == r.Program && errors.Is(err, fs.ErrPermission):
			all = append(all, fmt.Sprintf("mail may be in %s, %s, which you cannot read; send it first: %s", q.name, folder, q.send))
		}
	}
	return all
}

// count returns the number of messages in folder. If something cannot be read, it is not
// counted, and err says why.
func (q *queue) count(folder string) (n int, err error) {
	seen := make(map[string]bool)
	for below := range strings.FieldsSeq(q.below) {
		top := filepath.Join(folder, below) + string(filepath.Separator) // with a separator at the end, so that a link is followed
		filepath.WalkDir(top, func(_ string, f fs.DirEntry, failed error) error {
			switch {
			case failed != nil && !errors.Is(failed, fs.ErrNotExist):
				err = failed
			case failed != nil || !f.Type().IsRegular():
			case q.message(f.Name()) != "":
				seen[q.message(f.Name())] = true
			}
			return nil
		})
	}
	return len(seen), err
}
