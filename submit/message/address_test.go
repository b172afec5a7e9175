package message

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// list writes mailboxes as "name|address" words for comparison.
func list(boxes []Mailbox) string {
	var words []string
	for _, b := range boxes {
		s := b.Address.String()
		if b.Name != "" {
			s = b.Name + "|" + s
		}
		words = append(words, s)
	}
	return strings.Join(words, ", ")
}

func TestParseAddressList(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"  \r\n ", ""},
		{"a@b", "a@b"},
		{"root", "root"},
		{"root, bob@x", "root, bob@x"},
		{"root (Cron Daemon)", "Cron Daemon|root"},
		{"<root>", "root"},
		{"<>", ""},
		{"a@b;c@d ; e@f", "a@b, c@d, e@f"},
		{",a@b,, ,c@d,", "a@b, c@d"},
		{`"A B" <a@b>, c@d`, "A B|a@b, c@d"},
		{`"B, A \"x\" \\" <a@b>`, `B, A "x" \|a@b`},
		{"Ann <a@b>", "Ann|a@b"},
		{"Ann<a@b>", "Ann|a@b"},
		{"John Q. Public <a@b>", "John Q. Public|a@b"},
		{"bob@x <c@d>", "bob@x|c@d"},
		{"[List] Ann <a@b>", "[List] Ann|a@b"},
		{"[List Ann <a@b>", "[List Ann|a@b"},
		{`CORP\ann <a@b>`, `CORP\ann|a@b`},
		{"undisclosed-recipients:;", ""},
		{"Undisclosed recipients: ;", ""},
		{"A Group:Ed <joe@where.test>,joe@where.test,John <jdoe@one.test>;", "Ed|joe@where.test, joe@where.test, John|jdoe@one.test"},
		{"g1: a@b, c@d; g2:; e@f", "a@b, c@d, e@f"},
		{"g: a@b", "a@b"},
		{`"g, h": a@b;`, "a@b"},
		{"mailto:a@b", "a@b"},
		{"(a (nested) comment) a@b", "a (nested) comment|a@b"},
		{`(\) x) a@b`, ") x|a@b"},
		{"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test"},
		{"pete(his account)@silly.test", "his account|pete@silly.test"},
		{"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example", "Mary Smith|mary@example.net, jdoe@test.example"},
		{"<@a,@b:c@d>", "c@d"},
		{"@a:c@d, e@f", "c@d, e@f"},
		{"a @ b", "a@b"},
		{"a . b@c", "a.b@c"},
		{"a@\r\n b", "a@b"},
		{"Ann\r\n <a@b>,\r\n\tc@d", "Ann|a@b, c@d"},
		{"a..b@example.jp, a.@x, .a@x", "a..b@example.jp, a.@x, .a@x"},
		{`"john doe"@x, "a@b"@c, "ann"@x, "a,b;c"@x`, `"john doe"@x, "a@b"@c, ann@x, "a,b;c"@x`},
		{`"a@b", <"c@d.">, x <"e\@f">, "g@", "h i"`, `a@b, c@d, x|e@f, "g@", "h i"`},
		{`"a b".c@x, "a"."b"@x`, `"a b.c"@x, a.b@x`},
		{"\"x\r\n y\"@z", `"x y"@z`},
		{"a@[127.0.0.1], <b@[IPv6:::1]>", "a@[127.0.0.1], b@[IPv6:::1]"},
		{"jörg@bücher.example", "jörg@bücher.example"},
		{"=?utf-8?q?J=C3=B6rg?= <a@b>", "Jörg|a@b"},
		{"=?utf-8?q?J=C3=B6?=\r\n =?iso-8859-1?q?rg?= <a@b>", "Jörg|a@b"},
		{"=?koi8-r?B?4g==?= <a@b>", "=?koi8-r?B?4g==?=|a@b"},
		{"=?unknown-8bit?q?x=E5?= <a@b>", "x\uFFFD|a@b"},
		{"=?utf-8?q?B,_A@x_(y)?= =?utf-8?q?z?= <a@b>, c@d", "B, A@x (y)z|a@b, c@d"},
		{"=?utf-8?q?a=0D=0ABcc:_x?= <a@b>", "a Bcc: x|a@b"},
		{"J\xf6rg <a@b>", "J\uFFFDrg|a@b"},
		{"\"J\xf6rg, x\" <a@b>, c@d", "J\uFFFDrg, x|a@b, c@d"},
		{"a@b (x) (y)", "y|a@b"},
		{"<a@b> (x)", "x|a@b"},
		{"(only a comment)", ""},
		{"a+b=c@x, bounce-1=x=y@z", "a+b=c@x, bounce-1=x=y@z"},
		{"<undisclosed-recipients:;>", ""},
		{" undisclosed recipients:;@host.example\r\n", ""},
		{"Undisclosed-Recipient:@host.example;", ""},
		{"\"Undisclosed\" <Undisclosed-Recipient:;>, a@b", "a@b"},
		{"\"Undisclosed recipients\" <>", ""},
		{"Recipient list suppressed:; <>", ""},
		{"<unlisted recipients: ; >", ""},
		{"\"Undisclosed-Recipient:;\"@host.example, <\"undisclosed-recipients:; \">", ""},
		{"a@b., Ann <c@d.>, e @ f . , <@r.:g@h.>", "a@b, Ann|c@d, e@f, g@h"},
		{"\u201ca@b\u201d, \u00a0c@d\u200b , \u00ab e@f \u00bb, \ufeff, Ann <\u2018g@h\u2019>\u00a0, \u201c<i@j>\u201d", "a@b, c@d, e@f, Ann|g@h, \u201c|i@j"},
		{"\u200eroot\u200e", "root"},
	} {
		boxes, err := ParseAddressList(test.in)
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
		}
		if got := list(boxes); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestParseAddressListErrors(t *testing.T) {
	for _, test := range []struct{ in, rest, want string }{
		{"a b@c", "", `"a b@c": white space inside the address`},
		{"x@y, Ann a@b, c@d", "x@y, c@d", `"Ann a@b": white space inside the address`},
		{"Mr. Smith@x", "", `"Mr. Smith@x": white space inside the address`},
		{"a@b c@d", "", `"a@b c@d": white space inside the address`},
		{"root admin", "", `"root admin": white space inside the address`},
		{"a(x)b@c", "", `"a(x)b@c": white space inside the address`},
		{"<a b@c>", "", `"<a b@c>": white space inside the address`},
		{"=?utf-8?q?bob=40x?=, c@d", "c@d", `"=?utf-8?q?bob=40x?=": a name without an address`},
		{"a@b@c", "", `"a@b@c": more than one "@"`},
		{"<a@b> c@d", "", `"<a@b> c@d": two addresses without a comma between them`},
		{"<a@b> <c@d>", "", `"<a@b> <c@d>": two addresses without a comma between them`},
		{"<a@b> Ann", "", `"<a@b> Ann": text behind the angle brackets`},
		{"c@d, <a@b, e@f", "c@d", `"<a@b, e@f": "<" without ">"`},
		{"a@b>", "", `"a@b>": ">" without "<"`},
		{"c@d, (x", "c@d", `"(x": unfinished comment`},
		{"c@d, \"x <a@b>", "c@d", `"\"x <a@b>": unfinished quoted string`},
		{"@b", "", `"@b": no local part`},
		{"a@", "", `"a@": no domain after the "@"`},
		{"a@b..c", "", `"a@b..c": the domain "b..c" has an extra dot`},
		{"a@b:c", "", `"a@b:c": misplaced ':'`},
		{`"a"b@c`, "", `"\"a\"b@c": text beside a quoted string`},
		{"\xff@b", "", `"\xff@b": invalid UTF-8`},
		{"a\x1b@b", "", `"a\x1b@b": '\x1b' is not allowed`},
		{"a@b..", "", `"a@b..": the domain "b." has an extra dot`},
		{"<a@b> \u00a0Ann", "", `"<a@b> \u00a0Ann": text behind the angle brackets`},
		{"<a:b;>", "", `"<a:b;>": misplaced ':'`},
		{"a b, c d, e@f, g h", "e@f", `"a b": white space inside the address (and 2 more)`},
		{strings.Repeat("x ", 1000), "", `"` + strings.Repeat("x ", 40) + `"…: too long for an address`},
	} {
		boxes, err := ParseAddressList(test.in)
		if err == nil || err.Error() != test.want {
			t.Errorf("%.90q: error %v, want %s", test.in, err, test.want)
		}
		if got := list(boxes); got != test.rest {
			t.Errorf("%.90q: got %q, want %q", test.in, got, test.rest)
		}
	}
}

func TestRecipients(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"To: a@b\nCc: c@d, e@f\nbcc: g@h\n (x),\n i@j\nApparently-To: k\nReply-To: z@z\n\n", "a@b, c@d, e@f, x|g@h, i@j, k"},
		{"To: a\nBcc: b\nBCC: c\n\n", "a, b, c"},
		{"To: a@b\nResent-To: c@d\nResent-Bcc: e@f\nBcc: g@h\n\n", "c@d, e@f"},
		{"To: a@b\nResent-From: c@d\n\n", "a@b"},
		{"To: undisclosed-recipients:;\nCc:\n\n", ""},
		{"Subject: x\n\nTo: y\n", ""},
		{"", ""},
	} {
		boxes, bad := mustRead(t, test.in, Options{}).Recipients()
		if bad != nil {
			t.Errorf("%q: %v", test.in, bad)
		}
		if got := list(boxes); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
	many := strings.Repeat("x y,", maxFaults+2)
	for _, test := range []struct{ in, good, want string }{
		{"To: a\ncc: b c@d, e\n\n", "a, e", `[Cc: "b c@d": white space inside the address]`},
		{"To: <>, a\n\n", "a", `[To: "<>": no address]`},
		{"To: a@@b, c@d\nBcc: e@f, g h\n\n", "c@d, e@f", `[To: "a@@b": more than one "@" Bcc: "g h": white space inside the address]`},
		{"To: " + many + "a\n\n", "a", "[" + strings.Repeat(`To: "x y": white space inside the address `, maxFaults) + "and 2 more that are not addresses]"},
	} {
		boxes, bad := mustRead(t, test.in, Options{}).Recipients()
		if got := list(boxes); got != test.good {
			t.Errorf("%q: got %q, want %q", test.in, got, test.good)
		}
		if got := fmt.Sprint(bad); got != test.want || status.KindOf(bad[0]) != status.Data {
			t.Errorf("%q: %s, want %s", test.in, got, test.want)
		}
	}
}

func TestFrom(t *testing.T) {
	for in, want := range map[string]string{
		"From: root (Cron Daemon)\n\n":             "Cron Daemon|root",
		"From: a@b\nResent-From: c@d\n\n":          "c@d",
		"From: not an address, Ann <a@b>\n\n":      "Ann|a@b",
		"From:\nFrom: \"(Cron Daemon)\" <root>\n ": "(Cron Daemon)|root",
		"From: <>\n\n": "",
		"To: a@b\n\n":  "",
	} {
		b, ok := mustRead(t, in, Options{}).From()
		if ok != (want != "") || ok && list([]Mailbox{b}) != want {
			t.Errorf("%q: got %v %v, want %q", in, b, ok, want)
		}
	}
}

func TestMailboxString(t *testing.T) {
	a, _ := envelope.Parse("a@b")
	for name, want := range map[string]string{
		"":                "a@b",
		"Ann Smith":       "Ann Smith <a@b>",
		"O'Brien-Lee":     "O'Brien-Lee <a@b>",
		"Smith, Ann":      `"Smith, Ann" <a@b>`,
		`A "x" \`:         `"A \"x\" \\" <a@b>`,
		"(Cron Daemon)":   `"(Cron Daemon)" <a@b>`,
		"Jörg":            "=?utf-8?q?J=C3=B6rg?= <a@b>",
		"Müller, Jörg":    "=?utf-8?b?TcO8bGxlciwgSsO2cmc=?= <a@b>",
		"=?utf-8?q?x?=":   `"=?utf-8?q?x?=" <a@b>`,
		"a\r\nBcc: x\x00": `"a Bcc: x" <a@b>`,
		"\xff":            "=?utf-8?q?=EF=BF=BD?= <a@b>",
		" \t\x1b ":        "a@b",
	} {
		got := Mailbox{Name: name, Address: a}.String()
		if got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func TestRewriteAddresses(t *testing.T) {
	in := "From: root (Cron Daemon)\nTo: \"B, A\" <bob>, x: root,\n\tc@d (bob); <@r:root>, \"a b\" . x @ host\nCc: bad one, root\nSubject: root\nReply-To:\n"
	want := "From: ann@example.org (Cron Daemon)\r\nTo: \"B, A\" <bob@example.org>, x: ann@example.org,\r\n\tc@d (bob); <ann@example.org>, \"x y\"@z\r\nCc: bad one, ann@example.org\r\nSubject: root\r\nReply-To:\r\n\r\n"
	to := func(field string, b Mailbox) (Mailbox, string) {
		s := map[string]string{"root": "ann@example.org", "bob": "bob@example.org", `"a b.x"@host`: `"x y"@z`}[b.Address.String()]
		a, err := envelope.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return Mailbox{Address: a}, "a test"
	}
	m := mustRead(t, in, Options{})
	changes, err := m.RewriteAddresses(to)
	if err != nil {
		t.Fatal(err)
	}
	if got := wire(t, m, everything); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if want := `[From: root rewritten to ann@example.org: a test To: bob rewritten to bob@example.org: a test To: root rewritten to ann@example.org: a test To: root rewritten to ann@example.org: a test To: "a b.x"@host rewritten to "x y"@z: a test Cc: root rewritten to ann@example.org: a test]`; fmt.Sprint(changes) != want {
		t.Errorf("got  %v\nwant %s", changes, want)
	}
	signed := "DKIM-Signature: x\n" + in
	m = mustRead(t, signed, Options{})
	if changes, _ := m.RewriteAddresses(to); changes != nil || !strings.Contains(wire(t, m, everything), "From: root (") {
		t.Errorf("signed mail changed: %v", changes)
	}
}

// TestMendedAddresses checks that characters that do not belong to an address are removed,
// and that the rest of the field stays.
func TestMendedAddresses(t *testing.T) {
	in := "From: \u201cu@example.org\u201d\nCc: <undisclosed-recipients:;>, \"Undisclosed recipients\" <> (x),x@y\nTo: Ann <a@example.net.>\u00a0, (x) b@example.net.\u200b ,\n\t\u2018Bob\u2019 <c@example.net>; d@example.net\n"
	want := "From: u@example.org\r\nCc: undisclosed-recipients:;, undisclosed-recipients:;,x@y\r\nTo: Ann <a@example.net>, (x) b@example.net ,\r\n\t\u2018Bob\u2019 <c@example.net>; d@example.net\r\n\r\n"
	asIs := func(_ string, b Mailbox) (Mailbox, string) { return b, "" }
	m := mustRead(t, in, Options{})
	changes, err := m.RewriteAddresses(asIs)
	if err != nil {
		t.Fatal(err)
	}
	if got := wire(t, m, everything); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if want := `[From: "“u@example.org”" rewritten to u@example.org: the rest is not part of the address`; !strings.HasPrefix(fmt.Sprint(changes), want) || len(changes) != 5 {
		t.Errorf("got  %v\nwant %s", changes, want)
	}
	m = mustRead(t, "To: \"a@b\", <\"c@d\">\n", Options{})
	if changes, err = m.RewriteAddresses(asIs); err != nil || wire(t, m, everything) != "To: a@b, <c@d>\r\n\r\n" || len(changes) != 2 {
		t.Errorf("addresses in quotes: %v, %v", changes, err)
	}
	m = mustRead(t, "To: undisclosed-recipients:;@host.example\nCc:\tUndisclosed-Recipient:@host.example;\n", Options{})
	if changes, err = m.RewriteAddresses(asIs); err != nil || wire(t, m, everything) != "To: undisclosed-recipients:;\r\nCc:\tundisclosed-recipients:;\r\n\r\n" || len(changes) != 2 {
		t.Errorf("a host behind a group: %v, %v", changes, err)
	}
	m = mustRead(t, "DKIM-Signature: x\n"+in, Options{})
	if changes, _ := m.RewriteAddresses(asIs); changes != nil || !strings.Contains(wire(t, m, everything), "<a@example.net.>\u00a0") {
		t.Errorf("signed mail changed: %v", changes)
	}
}

// TestMaxHeader checks that a header is refused if it is too long, or if it gets too long
// because its addresses are rewritten to longer ones.
func TestMaxHeader(t *testing.T) {
	const limit = 4 << 10
	long, _ := envelope.Parse(strings.Repeat("x", 40) + "@example.org")
	to := func(string, Mailbox) (Mailbox, string) { return Mailbox{Address: long}, "" }
	for _, test := range []struct {
		name, in     string
		read, change status.Kind // of errors; 0: none
	}{
		{"one long field", "To: " + strings.Repeat("x", limit), status.TooBig, 0},
		{"many fields", strings.Repeat("X:\n", limit/fieldCost), status.TooBig, 0},
		{"one field grows", "To: " + strings.Repeat("a,", limit/40), 0, status.TooBig},
		{"many fields grow", strings.Repeat("To: a, a\nCc: a\n", limit/150), 0, status.TooBig},
		{"there is room", "Subject: " + strings.Repeat("x", limit/2) + "\nTo: " + strings.Repeat("a,", limit/100), 0, 0},
	} {
		m, err := Read(strings.NewReader(test.in+"\n\n"), Options{MaxHeader: limit})
		if (err != nil) != (test.read != 0) || err != nil && status.KindOf(err) != test.read {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil {
			continue
		}
		_, err = m.RewriteAddresses(to)
		if (err != nil) != (test.change != 0) || err != nil && status.KindOf(err) != test.change {
			t.Errorf("%s: %v", test.name, err)
		}
		m.Close()
	}
}

// TestManyRecipients checks that a field with many recipients is read and rewritten.
func TestManyRecipients(t *testing.T) {
	var b strings.Builder
	b.WriteString("To: ")
	for i := range 100_000 {
		fmt.Fprintf(&b, "user%d@example.org,", i)
	}
	m := mustRead(t, b.String(), Options{})
	boxes, bad := m.Recipients()
	if bad != nil || len(boxes) != 100_000 {
		t.Fatalf("%d recipients, %v", len(boxes), bad)
	}
	other, _ := envelope.Parse("b@x")
	if c, _ := m.RewriteAddresses(func(string, Mailbox) (Mailbox, string) { return Mailbox{Address: other}, "" }); len(c) != maxChanges+1 {
		t.Errorf("%d changes told", len(c))
	}
	for line := range strings.Lines(wire(t, m, everything)) {
		if len(line) > maxLine+2 {
			t.Fatalf("a line of %d octets", len(line))
		}
	}
	again := mustRead(t, wire(t, m, everything), Options{})
	if boxes, bad := again.Recipients(); bad != nil || len(boxes) != 100_000 {
		t.Errorf("after folding: %d recipients, %v", len(boxes), bad)
	}
}

var listSeeds = []string{
	`"A B" <a@b>, c@d;e (x(y)) , g: h@i, "j k"@l;`, "<@a,@b:c@d>", "a . b @ c . d", "=?utf-8?q?=C3?= <x>",
	"a@[IPv6:::1]", "\"\\\"@\" <x@y>(\\))", "a@b\r\n ,\r\n c", "[x <a>, \x80\xff@b, <>", "@x:y@z:;", "a:b:c:;d",
	"\u201ca@b.\u201d, <c@d>\u00a0(x), \u200b, <u:;>", "\"Undisclosed:;\"@h., \u00ab a \u00bb",
}

func FuzzParseAddressList(f *testing.F) {
	for _, s := range listSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		boxes, err := ParseAddressList(s)
		end := 0
		for _, b := range boxes {
			if b.start < end || b.end < b.start || b.end > len(s) {
				t.Fatalf("span %d:%d behind %d of %d", b.start, b.end, end, len(s))
			}
			end = b.end
			if again, err := envelope.Parse(b.Address.String()); err != nil || again != b.Address {
				t.Errorf("%q is no address: %v", b.Address, err)
			}
			one, err := ParseAddressList(b.String())
			if err != nil || len(one) != 1 || one[0].Address != b.Address {
				t.Errorf("%s reads as %s, %v", b, list(one), err)
			}
		}
		theirs, theirErr := mail.ParseAddressList(s)
		if err != nil || theirErr != nil {
			return
		}
		boxes = slices.DeleteFunc(boxes, func(b Mailbox) bool { return b.Address.IsNull() })
		theirs = slices.DeleteFunc(theirs, func(a *mail.Address) bool {
			return strings.Contains(a.Address, ":;") && isUndisclosed(a.Address)
		})
		if len(boxes) != len(theirs) {
			t.Fatalf("%d mailboxes, net/mail has %d", len(boxes), len(theirs))
		}
		for i, b := range boxes {
			local := b.Address.Local()
			if strings.HasPrefix(local, `"`) {
				local = unquote(local)
			}
			if got := local + "@" + b.Address.Domain(); got != envelope.Mend(theirs[i].Address) {
				t.Errorf("%s, net/mail has %s", got, theirs[i].Address)
			}
		}
	})
}

func FuzzRewrite(f *testing.F) {
	for _, s := range listSeeds {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, which int) {
		m, err := Read(strings.NewReader("To: "+s), Options{})
		if err != nil || len(m.fields) != 1 || !utf8.ValidString(s) {
			return
		}
		defer m.Close()
		before, beforeErr := ParseAddressList(string(m.fields[0].value()))
		to, _ := envelope.Parse(`"x, y"@z`)
		want := slices.Clone(before)
		n := 0
		m.RewriteAddresses(func(_ string, b Mailbox) (Mailbox, string) {
			n++
			if n&which == 0 {
				return Mailbox{}, ""
			}
			return Mailbox{Name: "n, m"[:which&4], Address: to}, ""
		})
		n = 0
		for i := range want {
			if want[i].Address.IsNull() {
				continue
			}
			n++
			if n&which != 0 {
				want[i].Address = to
			}
		}
		after, afterErr := ParseAddressList(string(m.fields[0].value()))
		if (beforeErr == nil) != (afterErr == nil) {
			t.Errorf("error was %v, is %v", beforeErr, afterErr)
		}
		if got, want := addresses(after), addresses(want); !slices.Equal(got, want) {
			t.Errorf("%q became %q: %q, want %q", s, m.fields[0].raw, got, want)
		}
	})
}

func addresses(boxes []Mailbox) (all []string) {
	for _, b := range boxes {
		all = append(all, b.Address.String())
	}
	return all
}

func BenchmarkParseAddressList(b *testing.B) {
	s := strings.Repeat("Some Body <some.body@example.org>, ", 100_000)
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAddressList(s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLiteralEnd checks that only a domain literal is read as one, not a bracket in text.
func TestLiteralEnd(t *testing.T) {
	for s, want := range map[string]int{
		"x[192.0.2.1]": 12, "x[]": 3, "x[IPv6:::1]>": 11,
		"x[": 1, "x[1": 1, "x[1,2]": 1, "x[1 2]": 1, "x[1[2]": 1, "x[<a@b>]": 1,
		"x[" + strings.Repeat("1", maxLiteral-2) + "]": maxLiteral + 1,
		"x[" + strings.Repeat("1", maxLiteral-1) + "]": 1,
	} {
		if got := literalEnd(s, 1); got != want {
			t.Errorf("%.20s, %d octets: %d, want %d", s, len(s), got, want)
		}
	}
}
