package mailq

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/queue"
	"sendoff/submit/status"
)

const goodLine = `{"queue_id":"1k1e4e264xefx4yc","user":"root","uid":0,"state":"queued","recipients":[{"address":"bob@example.net"}]}`

// TestRelay: the output of a hostile user's process does no harm.
func TestRelay(t *testing.T) {
	uid := 987654 // without a name
	for _, row := range []struct {
		name, said string
		shape      Shape
		want       string
		sum        int
	}{
		{"nothing", "", Text, "", 0},
		{"a list", "one\r\ntwo\n", Text, "(user 987654)\none\ntwo\n", 1},
		{"no line's end", "one", Text, "(user 987654)\none\n", 1},
		{"another user's", "one\n(user victim)\n(user \x1b[0mvictim)\ntwo\n", Text, "(user 987654)\none\ntwo\n", 1},
		{"escapes", "a\x1b[2Jb\n", Text, "(user 987654)\n" + status.Printable("a\x1b[2Jb") + "\n", 1},

		{"an entry", goodLine + "\n", JSON, strings.Replace(listedLine, "USER", "987654", 1), 1},
		{"twice the user", strings.Replace(goodLine, `"state"`, `"user":"victim","USER":"x","uid":1,"state"`, 1) + "\n", JSON, strings.Replace(listedLine, "USER", "987654", 1), 1},
		{"too deep", strings.Repeat("[", 20000) + "\n" + goodLine, JSON, strings.Replace(listedLine, "USER", "987654", 1), 1},
		{"no entry", "7\n\"x\"\nnull\n{}\n[]\n" + strings.Replace(goodLine, "queued", "eaten", 1) + "\n" + strings.Replace(goodLine, "1k1e", "/../", 1), JSON, "", 1},

		{"a number", "17\n", Number, "", 17},
		{"a negative one", "-17\n", Number, "", 0},
		{"a giant", "9223372036854775807\n", Number, "", 922337203},
	} {
		a := &answer{User: queue.User{UID: uid}, output: bounded{share: 1 << 20, most: 1 << 20, pool: new(atomic.Int64)}}
		a.output.Write([]byte(row.said))
		var out bytes.Buffer
		sum, err := Errand{Shape: row.shape}.relay(&out, a)
		if out.String() != row.want || sum != row.sum || err != nil {
			t.Errorf("%s: %d, %v, got\n%swant\n%s", row.name, sum, err, out.String(), row.want)
		}
	}
}

const listedLine = `{"queue_id":"1k1e4e264xefx4yc","state":"queued","arrival_time":` + listedTime + `,"message_size":0,"sender":null,"user":"USER","uid":987654,"attempts":0,"recipients":[{"address":"bob@example.net"}]}` + "\n"

const listedTime = "0"

// TestBounded: each output has its own share, and more from the pool until that is used up.
func TestBounded(t *testing.T) {
	pool := new(atomic.Int64)
	pool.Store(100 << 10)
	first := bounded{share: 10, most: 1 << 20, pool: pool}
	second := bounded{share: 10, most: 1 << 20, pool: pool}
	long := make([]byte, 200<<10)
	for _, b := range []*bounded{&first, &second} {
		if n, err := b.Write(long); n != len(long) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if first.buffer.Len() != 10+100<<10 || second.buffer.Len() != 10 || !first.cut || !second.cut {
		t.Errorf("%d and %d octets", first.buffer.Len(), second.buffer.Len())
	}
	pool.Store(1 << 30)
	third := bounded{most: 64 << 10, pool: pool}
	third.Write(long)
	if third.buffer.Len() != 64<<10 || !third.cut {
		t.Errorf("%d octets of more than it may have", third.buffer.Len())
	}
}

// TestListManyRecipients: a list shows the first maxShown recipients of an entry, and
// counts the rest.
func TestListManyRecipients(t *testing.T) {
	const more = 1234
	e := &queue.Entry{ID: queue.NewID(time.Now())}
	for i := range maxShown + more {
		address, err := envelope.Parse(fmt.Sprintf("r%d@example.net", i))
		if err != nil {
			t.Fatal(err)
		}
		to := queue.Recipient{Recipient: envelope.Recipient{Address: address}}
		if i > maxShown {
			to.Reason = "another reason"
		}
		e.To = append(e.To, to)
	}
	var b strings.Builder
	out := newLister(&b, "")
	out.entry(e, ' ', func(to queue.Recipient) string { return to.Reason })
	out.Flush()
	if lines := strings.Split(b.String(), "\n"); len(lines) != maxShown+4 || strings.TrimSpace(lines[maxShown]) != "r999@example.net" || strings.TrimSpace(lines[maxShown+1]) != "and 1234 more recipients" {
		t.Errorf("%d lines, the last ones %q", len(lines), lines[len(lines)-4:])
	}
	l := listedOf(e)
	if len(l.Recipients) != maxShown || l.More != more {
		t.Errorf("%d recipients and %d more", len(l.Recipients), l.More)
	}
	e.To = e.To[:maxShown]
	b.Reset()
	out.entry(e, ' ', func(to queue.Recipient) string { return "" })
	out.Flush()
	if l := listedOf(e); strings.Contains(b.String(), "more") || l.More != 0 {
		t.Errorf("of %d recipients, %d more:\n%.2000s", maxShown, l.More, b.String())
	}
}

// TestManyErrors: joinFew shows the first errors and counts the rest.
func TestManyErrors(t *testing.T) {
	var errs []error
	for i := range 25 {
		errs = append(errs, fmt.Errorf("number %d", i))
	}
	text := joinFew(errs).Error()
	if strings.Count(text, "\n") != maxErrors || !strings.HasSuffix(text, "\nand 15 more") {
		t.Error(text)
	}
	if joinFew(nil) != nil {
		t.Error("no error is one")
	}
}

// TestNoChild: only root can start processes that become other users.
func TestNoChild(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root has")
	}
	if process.Become(os.Getuid()+1, true) == nil {
		t.Error("an ordinary user has become another")
	}
}

// TestOverviewOfOthers: the output of a user's process cannot write control characters to
// root's terminal, and cannot choose its State.
func TestOverviewOfOthers(t *testing.T) {
	text := `{"account":"a\u001b[2Jb","state":"ok","entries":1,"oldest":5,"fault":"x\ny","fault_since":9}`
	var b strings.Builder
	said := &answer{User: queue.User{UID: os.Getuid()}}
	said.output.buffer.WriteString(text + "\nnonsense\n{\"entries\":\n")
	if _, err := (Errand{Shape: Overviews}).relay(&b, said); err != nil {
		t.Fatal(err)
	}
	all, err := ReadStatus(strings.NewReader(b.String()))
	if err != nil || len(all) != 1 || all[0].State != StateLate || all[0].User == "" {
		t.Fatalf("%v, %v", all, err)
	}
	if text := all[0].String(); strings.ContainsAny(text, "\x1b") || strings.Count(text, "\n") != 2 {
		t.Errorf("%q", text)
	}
	for folder, want := range map[string]string{"": "  hint (do it as user ", "/var/lib/sendoff/queue": "  hint: do x\n"} {
		said := &answer{User: queue.User{UID: os.Getuid(), Queue: folder}}
		said.output.buffer.WriteString(`{"account":"a","hint":"do x"}` + "\n")
		b.Reset()
		if _, err := (Errand{Shape: Overviews}).relay(&b, said); err != nil {
			t.Fatal(err)
		}
		if all, err := ReadStatus(strings.NewReader(b.String())); err != nil || len(all) != 1 || !strings.Contains(all[0].String(), want) {
			t.Errorf("a queue in %q: %s, %v; want %q", folder, b.String(), err, want)
		}
	}
	if _, err := ReadStatus(strings.NewReader("{")); err == nil {
		t.Error("half an object is no error")
	}
}
