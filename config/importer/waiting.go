package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A queue is a folder in which a program keeps mail that it could not send yet.
type queue struct {
	program string // as in programs; another one's queue is only named if mail is found in it
	name    string // for a person
	folder  string
	below   string                   // the folders in it that have messages; "." is itself
	message func(file string) string // which message a file is of; "" is none
	send    string                   // the command that sends what is in it
}

// queues is the table of queues.
var queues = [...]queue{
	{"msmtp", "msmtpq's queue", "~/.msmtp.queue", ".", mailFile, "msmtp-queue -r"},
	{"msmtp", "msmtpqueue's queue", "~/.msmtpqueue", ".", mailFile, "msmtp-runqueue.sh"},
	{"nullmailer", "nullmailer's queue", "/var/spool/nullmailer/queue", ".", anyFile, "sudo systemctl restart nullmailer (or run nullmailer-send)"},
	{"dma", "dma's queue", "/var/spool/dma", ".", dmaFile, "dma -q"},
	{"Postfix", "Postfix's queue", "/var/spool/postfix", "maildrop incoming active deferred", anyFile, "postqueue -f"},
}

// debianScripts is where Debian has msmtpq's programs, which find each other in PATH only.
const debianScripts = "/usr/libexec/msmtp/msmtpq"

func anyFile(file string) string { return file }

// mailFile is for a file NAME.mail, which has another one with its recipients beside it.
func mailFile(file string) string {
	if strings.HasSuffix(file, ".mail") {
		return file
	}
	return ""
}

// dmaFile is for a file QMESSAGE.RECIPIENT, of which a message has one for each recipient.
func dmaFile(file string) string {
	message, _, _ := strings.Cut(file, ".")
	if strings.HasPrefix(message, "Q") {
		return message
	}
	return ""
}

// Waiting says for each queue whether mail waits in it, and how that is sent. Nobody would
// look for it there once sendoff has taken the program's place.
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

// count counts the messages in folder. What cannot be read is left out, with an error.
func (q *queue) count(folder string) (n int, err error) {
	seen := make(map[string]bool)
	for below := range strings.FieldsSeq(q.below) {
		top := filepath.Join(folder, below) + string(filepath.Separator) // also where that is a link
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
