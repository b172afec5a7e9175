package outcome

import (
	"errors"
	"testing"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// TestReport: a line says what failed and for whom; the exit code is that of a failure for
// which the caller has to try again, if there is one.
func TestReport(t *testing.T) {
	address := func(s string) envelope.Address {
		a, err := envelope.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ann, bob := address("ann@example.org"), address("bob@example.org")
	failed := func(v Verdict, err error, to ...envelope.Address) Failure {
		return Failure{Outcome{Verdict: v, Err: err}, to}
	}
	refused, later := errors.New("550 no such user"), errors.New("451 later")
	unknown := failed(Returned, later, bob)
	unknown.Unknown = true
	for _, tt := range []struct {
		name   string
		report Report
		text   string
		cause  error // nil: the report is no error
	}{
		{"one refused", Report{Failures: []Failure{failed(Refused, refused, ann)}}, "550 no such user", refused},
		{"one waits", Report{Failures: []Failure{failed(Waits, later, ann)}, Queued: "1k"}, "451 later; queued as 1k", nil},
		{"one told", Report{Failures: []Failure{failed(Told, refused, ann)}}, "550 no such user", nil},
		{"some sent", Report{Failures: []Failure{failed(Refused, refused, ann)}, Sent: []envelope.Address{bob}},
			"550 no such user; not sent to <ann@example.org>\nalready sent to <bob@example.org>; do not send it to them again", refused},
		{"unknown", Report{Failures: []Failure{unknown}}, "451 later; it may have been delivered to <bob@example.org>", later},
		{"refused and returned", Report{Failures: []Failure{failed(Refused, refused, ann), failed(Returned, later, bob)}},
			"550 no such user; not sent to <ann@example.org>\n451 later; not sent to <bob@example.org>", later},
		{"no address", Report{Failures: []Failure{failed(Refused, refused)}, Queued: "1k", OthersWait: true, Copy: "/f/1k.eml", NotKept: "x"},
			"550 no such user\nthe other recipients' mail is queued as 1k\na copy is in /f/1k.eml\nno copy of the message was kept: x", refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.report.Error(); got != tt.text {
				t.Errorf("got\n%s\nwant\n%s", got, tt.text)
			}
			err := tt.report.Err()
			if (err == nil) != (tt.cause == nil) || err != nil && (!errors.Is(err, tt.cause) || status.Exit(err) != status.Exit(tt.cause)) {
				t.Errorf("error %v", err)
			}
		})
	}
}
