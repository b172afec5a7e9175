// Package compose makes a message from a subject, a text and files.
//
//	subject, recipients, reply-to ──> header ────────────────┐
//	standard input ──> text/plain, with its charset ─────────┼──> message.Read
//	files ──> one part each of multipart/mixed, in base64 ───┘
//
// The text is read to its end first, because the header of its part names the charset.
// Then each file is read once, in constant memory: package message keeps a large message
// in a temporary file. The package knows neither the network nor the queue nor accounts.
//
// Errors: NoInput if a file cannot be read to its end, Usage if standard input would be
// two attachments, and the errors of package message.
package compose

import (
	"crypto/rand"
	"io"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// A Draft has the header fields and the files of a new message.
type Draft struct {
	Subject         string            // "": the message has no Subject field
	To, Cc, ReplyTo []message.Mailbox // empty: the message has no such field
	Files           []string          // the paths of the attachments; "-" is standard input
}

// Read makes the message. It reads the text from stdin; if dot is set, a line of a single
// dot ends the text. If stdin is an attachment, the text is empty. The caller must close
// the message.
func (d *Draft) Read(stdin io.Reader, dot bool) (*message.Message, error) {
	body := stdin
	if d.attachesInput() {
		body = strings.NewReader("")
	}
	text, err := message.Read(body, message.Options{Body: true, Dot: dot})
	if err != nil {
		return nil, err
	}
	encoding := "7bit"
	if text.Survey().EightBit {
		encoding = "8bit"
	}
	if len(d.Files) == 0 {
		d.addHeader(text)
	}
	text.Add("Content-Type", "text/plain; charset="+text.Charset())
	text.Add("Content-Transfer-Encoding", encoding)
	if len(d.Files) == 0 {
		return text, nil
	}
	defer text.Close()
	return d.withFiles(stdin, text, encoding)
}

// withFiles returns a multipart message: its first part is text, and each file is a part.
// encoding is the Content-Transfer-Encoding of text.
func (d *Draft) withFiles(stdin io.Reader, text *message.Message, encoding string) (*message.Message, error) {
	boundary := rand.Text()
	head, err := header()
	if err != nil {
		return nil, err
	}
	d.addHeader(head)
	head.Add("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	head.Add("Content-Transfer-Encoding", encoding)
	var parts []io.Reader
	add := func(before string, part io.Reader) {
		parts = append(parts, strings.NewReader(before), part)
	}
	for _, part := range []struct {
		before string
		*message.Message
	}{{"", head}, {"--" + boundary + "\r\n", text}} {
		r, err := open(part.Message)
		if err != nil {
			return nil, err
		}
		add(part.before, r)
	}
	for _, path := range d.Files {
		add("\r\n--"+boundary+"\r\n", &attachment{path: path, stdin: stdin})
	}
	add("\r\n--"+boundary+"--\r\n", strings.NewReader(""))
	whole := &errorKeeper{from: io.MultiReader(parts...)}
	m, err := message.Read(whole, message.Options{Stop: true})
	if status.KindOf(whole.err) == status.NoInput {
		err = whole.err
	}
	return m, err
}

// open returns m from its start, as for a server with all extensions: a server without
// 8BITMIME gets another form later.
func open(m *message.Message) (io.Reader, error) {
	r, _, err := m.Open(envelope.Form{EightBit: true, UTF8: true})
	return r, err
}

// An errorKeeper reads from, and keeps the error of the last Read.
type errorKeeper struct {
	from io.Reader
	err  error
}

func (k *errorKeeper) Read(p []byte) (n int, err error) {
	n, k.err = k.from.Read(p)
	return n, k.err
}

// addHeader adds to m the fields of the draft, and MIME-Version. A part has no such fields.
func (d *Draft) addHeader(m *message.Message) {
	for _, row := range [...]struct {
		name string
		list []message.Mailbox
	}{{"To", d.To}, {"Cc", d.Cc}, {"Reply-To", d.ReplyTo}} {
		var all []string
		for _, b := range row.list {
			all = append(all, b.String())
		}
		if len(all) > 0 {
			m.Add(row.name, strings.Join(all, ", "))
		}
	}
	if d.Subject != "" {
		m.Add("Subject", d.Subject)
	}
	m.Add("MIME-Version", "1.0")
}

// header returns an empty message, to which fields can be added.
func header() (*message.Message, error) {
	return message.Read(strings.NewReader(""), message.Options{Body: true})
}
