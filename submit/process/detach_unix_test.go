//go:build unix

package process

import "testing"

// TestEndingService tells services at whose end systemd ends a runner from those that
// spare a runner, and from scopes and containers.
func TestEndingService(t *testing.T) {
	for groups, want := range map[string]string{
		"0::/system.slice/backup.service\n":                                         "backup.service",
		"12:pids:/x\n1:name=systemd:/system.slice/php8.2-fpm.service\n0::/\n":       "php8.2-fpm.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/mail.service\n": "mail.service",
		"0::/system.slice/system-report.slice/report@daily.service\n":               "report@daily.service",
		"0::/system.slice/cron.service\n":                                           "",
		"0::/system.slice/ssh@3-1.service\n":                                        "",
		"0::/user.slice/user-1000.slice/session-4.scope\n":                          "",
		"0::/user.slice/user-1000.slice/user@1000.service\n":                        "",
		"9:cpu:/other.service\n0::/\n":                                              "",
		"":                                                                          "",
		"0":                                                                         "",
	} {
		if got := endingService(groups); got != want {
			t.Errorf("%q: %q, want %q", groups, got, want)
		}
	}
}

// TestOutlives holds that a service is recognised where /proc hides the first process, as
// the setting ProtectProc=invisible of systemd does it.
func TestOutlives(t *testing.T) {
	const service = "0::/system.slice/backup.service\n"
	for _, tt := range []struct {
		comm, groups, why string
		try               bool
	}{
		{"systemd", service, "a process that runs it ends with backup.service", true},
		{"", service, "a process that runs it ends with backup.service", true},
		{"", "", "", true},
		{"init(Debian)", "0::/\n", "", true},
		{"sh", service, "there is no init system here, so a background process would not survive; SENDOFF_RUNNER=on starts one anyway", false},
	} {
		if why, try := outlives(tt.comm, tt.groups); why != tt.why || try != tt.try {
			t.Errorf("%q, %q: %q, %t", tt.comm, tt.groups, why, try)
		}
	}
}
