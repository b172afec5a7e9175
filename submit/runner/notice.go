package runner

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/notify"
	"sendoff/submit/outcome"
	"sendoff/submit/queue"
	"sendoff/submit/rewrite"
	"sendoff/submit/status"
)

// giveUp gives up an entry for its recipients that failed. The entry itself becomes the
// notice to its sender, so that there is never more than one notice, even after a
// crash. If nobody can be told by mail, the entry moves to failed.
func (t *attempt) giveUp() {
	e := t.claim.Entry
	if t.accountsFault() || !t.job.MakeNotice(e) {
		t.g.fail(t.claim)
		return
	}
	e.Attempts, e.Tried, e.Tries, e.Next, e.Unknown = 0, time.Time{}, nil, e.Notice, false
	err := t.claim.Update()
	t.g.record(e.ID, err, false)
	if err != nil {
		return
	}
	t.s.Log.Line(e.ID, false, "status", "notice", "reply", "to "+e.Sender.String())
	t.g.push(e)
}

// accountsFault reports whether a failure is the account's fault. The account could
// then not send a notice either.
func (t *attempt) accountsFault() bool {
	return slices.ContainsFunc(t.job.Failures(), func(f outcome.Failure) bool { return status.KindOf(f.Err).Scope() == status.Account })
}

// settleNotice writes the outcome of a notice into the queue. A notice that is refused
// moves to failed; it is not tried again, and causes no other notice (RFC 5321
// section 6.1).
func (t *attempt) settleNotice() {
	e := t.claim.Entry
	failures := t.job.Failures()
	if len(failures) == 0 {
		t.g.record(e.ID, t.claim.Done(), true)
		return
	}
	e.Reason = status.OneLine(failures[0].Err)
	if failures[0].Verdict != outcome.Waits || t.s.CountTry(e) {
		t.g.fail(t.claim)
		return
	}
	t.postpone(e.Reason)
}

// fail moves an entry to failed, where a person must look at it, and adds the event of
// which the person is told.
func (g *group) fail(c *queue.Claim) {
	err := cmp.Or(c.Update(), c.Fail())
	g.record(c.ID, err, false)
	if err != nil {
		return
	}
	g.s.Log.Line(c.ID, true, "status", "failed", "reply", "in "+g.s.Queue.FailedFolder()+": "+c.Why())
	g.r.events.Add(g.s.Event(notify.Failed, notify.AboutEntry(c.Entry)...))
}

// maxReturned is how much of the message's header a notice returns, in octets.
const maxReturned = 64 << 10

// notice makes the message that tells the sender of an entry which recipients failed
// (RFC 3464). The caller chooses the account. Each attempt makes the same message.
func notice(s *submit.Submitter, c *queue.Claim) (*submit.Request, error) {
	e := c.Entry
	boundary := string(e.ID) + ".notice"
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: Mail Delivery System <MAILER-DAEMON>")
	line("To: <%s>", e.Sender)
	line("Subject: Undelivered mail returned to sender")
	line("Date: %s", e.Notice.Local().Format(time.RFC1123Z))
	line("Message-ID: <%s@%s>", boundary, rewrite.Hostname(s.Config, s.Identity))
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=delivery-status; boundary=%q", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	line("Your message could not be delivered to")
	line("")
	for _, to := range e.To {
		if to.Notify&envelope.NotifyNever != 0 {
			continue
		}
		line("  <%s>", to.Address)
		for _, part := range wrap(to.Reason) {
			line("    %s", part)
		}
	}
	line("")
	line("It will not be tried again. Its header is below.")
	line("")
	deliveryStatus(s, line, boundary, e)
	line("--%s", boundary)
	line("Content-Type: text/rfc822-headers")
	line("")
	copyHeader(&b, c.Message())
	line("")
	line("--%s--", boundary)
	r := &submit.Request{Sender: &envelope.Address{}}
	r.To = []submit.Wanted{{Recipient: envelope.Recipient{Address: *e.Sender, Notify: envelope.NotifyNever}, Origin: "notice"}}
	var err error
	r.Message, err = message.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	return r, err
}

// deliveryStatus writes the part of a notice that is for programs (RFC 3464 section 2).
func deliveryStatus(s *submit.Submitter, line func(string, ...any), boundary string, e *queue.Entry) {
	line("--%s", boundary)
	line("Content-Type: message/delivery-status")
	line("")
	line("Reporting-MTA: dns; %s", rewrite.Hostname(s.Config, s.Identity))
	if e.Envelope != "" {
		line("Original-Envelope-Id: %s", status.ASCII(e.Envelope))
	}
	line("Arrival-Date: %s", e.ID.Time().Local().Format(time.RFC1123Z))
	for _, to := range e.To {
		if to.Notify&envelope.NotifyNever != 0 {
			continue
		}
		line("")
		if to.Original != "" {
			line("Original-Recipient: rfc822; %s", status.ASCII(to.Original))
		}
		kind := "rfc822"
		if to.Address.UTF8() {
			kind = "utf-8" // RFC 6533 section 3
		}
		line("Final-Recipient: %s; %s", kind, to.Address)
		line("Action: failed")
		line("Status: %s", to.Code)
		line("Diagnostic-Code: smtp; %s", strings.Join(wrap(status.ASCII(to.Reason)), "\r\n "))
	}
	line("")
}

// wrap breaks text at spaces into lines of some 70 characters. It cuts a longer word,
// such as a link, only if a line of a message could not hold the word (RFC 5322 section
// 2.1.1: 998 characters).
func wrap(text string) []string {
	const longest = 800
	var parts []string
	part := ""
	for word := range strings.FieldsSeq(text) {
		for len(word) > longest {
			head := strings.ToValidUTF8(word[:longest], "")
			parts, part, word = append(parts, strings.TrimSpace(part+" "+head)), "", word[len(head):]
		}
		if part != "" && len(part)+len(word) > 70 {
			parts = append(parts, part)
			part = ""
		}
		part = strings.TrimSpace(part + " " + word)
	}
	return append(parts, part)
}

// copyHeader writes the header of a message, without the lines after maxReturned.
func copyHeader(w io.Writer, message io.Reader) {
	r := bufio.NewReader(io.LimitReader(message, maxReturned))
	for {
		text, err := r.ReadBytes('\n')
		if err != nil || len(bytes.TrimRight(text, "\r\n")) == 0 {
			return
		}
		w.Write(text)
	}
}
