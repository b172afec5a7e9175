package compose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sendoff/submit/status"
)

// Check says why a file cannot be attached, before anything is read. What is no regular
// file is not opened, because the opening of a FIFO waits for its writer.
func (d *Draft) Check() error {
	found := false
	for _, path := range d.Files {
		if isInput(path) {
			if found {
				return status.Usage.Errorf("--attach: standard input can only be attached once")
			}
			found = true
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return failed(path, err)
		case info.IsDir():
			return status.NoInput.Errorf("--attach: %s is a folder", path)
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return failed(path, err)
			}
			f.Close()
		}
	}
	return nil
}

// failed returns the error of a file.
func failed(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return status.NoInput.Errorf("--attach: %s: %w", path, err)
}

// attachesInput reports whether standard input is an attachment.
func (d *Draft) attachesInput() bool {
	return slices.ContainsFunc(d.Files, isInput)
}

// isInput reports whether path is standard input: "-", or another name of the same pipe,
// such as /dev/stdin, which cannot be read twice.
func isInput(path string) bool {
	if path == "-" {
		return true
	}
	file, err := os.Stat(path)
	if err != nil || file.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return false
	}
	input, err := os.Stdin.Stat()
	return err == nil && os.SameFile(file, input)
}

// An attachment reads a part: its header, and the file in base64. The file is opened with
// the first Read, so that any number of files can be attached.
type attachment struct {
	path  string
	stdin io.Reader
	rest  io.Reader // nil: not opened yet
}

func (a *attachment) Read(p []byte) (int, error) {
	if a.rest == nil {
		if err := a.open(); err != nil {
			return 0, err
		}
	}
	return a.rest.Read(p)
}

func (a *attachment) open() error {
	name, content := "attachment", a.stdin
	if a.path != "-" {
		name = filepath.Base(a.path)
	}
	if !isInput(a.path) {
		f, err := openFile(a.path)
		if err != nil {
			return err
		}
		content = f
	}
	start := make([]byte, sampleSize)
	n, err := io.ReadFull(content, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	head, err := partHeader(name, start[:n])
	if err != nil {
		return err
	}
	content = io.MultiReader(strings.NewReader(string(start[:n])), content)
	a.rest = io.MultiReader(head, newBase64Reader(content))
	return nil
}

// partHeader returns the header of a part with a file of that name, which begins with
// start.
func partHeader(name string, start []byte) (io.Reader, error) {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '_'
		}
		return r
	}, name)
	m, err := header()
	if err != nil {
		return nil, err
	}
	m.Add("Content-Type", typeOf(name, start))
	m.Add("Content-Disposition", `attachment; filename="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)+`"`)
	m.Add("Content-Transfer-Encoding", "base64")
	return open(m)
}

// sampleSize is how much of a file tells its media type, in octets.
const sampleSize = 4 << 10

// unknownType is the media type of what may be anything.
const unknownType = "application/octet-stream"

// typeOf returns the media type of a file by its name, or else by its content. Base64
// may not be the encoding of a multipart or message (RFC 2046): these are files like any.
func typeOf(name string, start []byte) string {
	value := mime.TypeByExtension(filepath.Ext(name))
	if value == "" {
		value = http.DetectContentType(start)
	}
	media, parameters, err := mime.ParseMediaType(value)
	kind, _, _ := strings.Cut(media, "/")
	switch {
	case err != nil, kind == "multipart", kind == "message":
		return unknownType
	case kind == "text":
		return textType(media, start)
	}
	return mime.FormatMediaType(media, parameters)
}

// textType returns the media type of a text. Nothing is known of the charset of a text
// that is neither UTF-8 nor begins with the mark of UTF-16.
func textType(media string, start []byte) string {
	_, detected, _ := mime.ParseMediaType(http.DetectContentType(start))
	if charset := detected["charset"]; strings.HasPrefix(charset, "utf-16") {
		return media + "; charset=" + charset
	}
	for range utf8.UTFMax - 1 { // a character may be cut at the end
		if !utf8.Valid(start) {
			start = start[:len(start)-1]
		}
	}
	switch {
	case bytes.IndexByte(start, 0) >= 0:
		return unknownType
	case utf8.Valid(start):
		return media + "; charset=utf-8"
	}
	return media
}

// A content reads a file up to the size that it had when it was opened: a log that grows
// has no end. Files in /proc have no size, and end where they end.
type content struct {
	io.Reader
	file *os.File
	size int64 // 0: not known
	read int64
	end  error // of the last Read, which has closed the file
}

func openFile(path string) (*content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(path, err)
	}
	c := &content{Reader: f, file: f}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		c.size = info.Size()
		c.Reader = io.LimitReader(f, c.size)
	}
	return c, nil
}

// Read implements io.Reader. Its errors name the file.
func (c *content) Read(p []byte) (n int, err error) {
	if c.end == nil {
		n, err = c.Reader.Read(p)
		c.read += int64(n)
		c.end = c.judge(err)
	}
	return n, c.end
}

// judge returns what err means, and closes the file if it is not nil.
func (c *content) judge(err error) error {
	if err == nil {
		return nil
	}
	defer c.file.Close()
	if err != io.EOF {
		return failed(c.file.Name(), err)
	}
	if c.read < c.size {
		info, err := c.file.Stat()
		if err != nil || info.Size() < c.size { // else it is one of /sys, whose size says nothing
			return status.NoInput.Errorf("--attach: %s became shorter while it was read; nothing was sent", c.file.Name())
		}
	}
	return io.EOF
}

// lineOctets is how many octets a line of base64 has, in its 76 characters (RFC 2045
// section 6.8).
const lineOctets = 57

// A base64Reader reads what from has in base64. Its last line has no end.
type base64Reader struct {
	from  io.Reader
	in    []byte // as many octets as some whole lines have
	lines []byte // of in
	rest  []byte // of lines, to be read now
	begun bool
	err   error // of from
}

func newBase64Reader(from io.Reader) *base64Reader {
	return &base64Reader{from: from, in: make([]byte, lineOctets<<10)}
}

func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// fill encodes the next lines.
func (b *base64Reader) fill() {
	var n int
	if n, b.err = io.ReadFull(b.from, b.in); b.err == io.ErrUnexpectedEOF {
		b.err = io.EOF
	}
	b.lines = b.lines[:0]
	for octets := range slices.Chunk(b.in[:n], lineOctets) {
		if b.begun {
			b.lines = append(b.lines, "\r\n"...)
		}
		b.lines, b.begun = base64.StdEncoding.AppendEncode(b.lines, octets), true
	}
	b.rest = b.lines
}
