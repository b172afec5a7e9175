package doctor

import (
	"fmt"
	"strings"

	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

// A label is the type that SELinux sees at a path, and the type that sendoff-server(7)
// gives it.
type label struct{ path, is, want string }

// seLinux says which labels the program and the folder of the queues have, where SELinux
// is on.
func seLinux() []finding {
	mode := process.SELinux()
	self, err := process.Executable()
	if mode == "" || err != nil {
		return nil
	}
	var labels []label
	for _, l := range []label{{self, "", "sendmail_exec_t"}, {queue.Shared, "", "mqueue_spool_t"}} {
		if l.is = process.Label(l.path); l.is != "" { // otherwise it is not there
			labels = append(labels, l)
		}
	}
	return single(labelled(mode, labels))
}

// labelled says whether the labels are those of the manual. Other labels matter only
// where SELinux is enforcing.
func labelled(mode string, labels []label) finding {
	text, wrong := "SELinux is "+mode, []string(nil)
	for _, l := range labels {
		text += fmt.Sprintf(", %s is %s", l.path, l.is)
		if l.is != l.want {
			wrong = append(wrong, l.path)
		}
	}
	if mode != "enforcing" || wrong == nil {
		return fine("%s", text)
	}
	return noted(status.Temporary.Errorf("%s: it may refuse the mail of programs that it confines, such as a web server", text)).
		advised("set the labels of sendoff-server(7), SELINUX, then: sudo restorecon -Rv %s", strings.Join(wrong, " "))
}
