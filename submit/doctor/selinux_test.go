package doctor

import "testing"

func TestLabelled(t *testing.T) {
	good := label{"/var/spool/sendoff", "mqueue_spool_t", "mqueue_spool_t"}
	bad := label{"/usr/bin/sendoff", "bin_t", "sendmail_exec_t"}
	for _, test := range []struct {
		mode        string
		labels      []label
		result      result
		words, hint string
	}{
		{"permissive", []label{bad}, resultOK, "SELinux is permissive, /usr/bin/sendoff is bin_t", ""},
		{"enforcing", []label{good}, resultOK, "SELinux is enforcing, /var/spool/sendoff is mqueue_spool_t", ""},
		{"enforcing", []label{bad, good}, resultNote,
			"SELinux is enforcing, /usr/bin/sendoff is bin_t, /var/spool/sendoff is mqueue_spool_t: it may refuse the mail of programs that it confines, such as a web server",
			"set the labels of sendoff-server(7), SELINUX, then: sudo restorecon -Rv /usr/bin/sendoff"},
	} {
		if f := labelled(test.mode, test.labels); f.result != test.result || f.words() != test.words || f.hint != test.hint {
			t.Errorf("%s, %v: %s %q, hint %q", test.mode, test.labels, f.result, f.words(), f.hint)
		}
	}
}
