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

// Check returns an error if a file cannot be attached, before the text is read. It opens
// only regular files: the opening of a FIFO would wait for its writer.
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

// failed returns err as an error of kind NoInput that names path once.
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

// isInput reports whether path is standard input: "-", or another name of the pipe that is
// standard input, such as /dev/stdin. It can be read once only.
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

// An attachment is a reader of a part of the message: the header of the part, and the file
// in base64. Only the first Read opens the file, so that any number of files can be
// attached.
type attachment struct {
	path  string
	stdin io.Reader // read instead of a file if path is standard input
	rest  io.Reader // of the part, not yet read; nil: the file is not open yet
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

// partHeader returns the header of a part for a file of that name. start is the start of
// the file.
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

// sampleSize is the octets at the start of a file that typeOf looks at.
const sampleSize = 4 << 10

// unknownType is the media type of a file of unknown type.
const unknownType = "application/octet-stream"

// typeOf returns the media type of a file by its name or, if that is unknown, by its
// content. A multipart or message gets unknownType, because RFC 2046 forbids base64 for
// these types.
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

// textType returns the media type media of a text, with its charset: UTF-16 if the text
// begins with a byte order mark, or UTF-8. If the charset is unknown, none is given. A file
// with a NUL is no text, and gets unknownType.
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

// A content reads a file up to the size that the file had when it was opened: a log file
// that grows might never end. Files in /proc have the size 0, and are read to their end.
type content struct {
	io.Reader
	file *os.File
	size int64 // octets of the file when it was opened; 0: unknown
	read int64 // octets read so far
	end  error // io.EOF or the error of the last Read; nil: the file is open
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
		c.end = c.finish(err)
	}
	return n, c.end
}

// finish returns the error of Read for err, and closes the file. If err is nil, it does
// nothing.
func (c *content) finish(err error) error {
	if err == nil {
		return nil
	}
	defer c.file.Close()
	if err != io.EOF {
		return failed(c.file.Name(), err)
	}
	if c.read < c.size {
		info, err := c.file.Stat()
		if err != nil || info.Size() < c.size { // a file in /sys is shorter than its size, which stays the same
			return status.NoInput.Errorf("--attach: %s became shorter while it was read; nothing was sent", c.file.Name())
		}
	}
	return io.EOF
}

// lineOctets is the number of octets that a base64 line of 76 characters encodes (RFC 2045
// section 6.8).
const lineOctets = 57

// A base64Reader returns the octets of from in base64. The last line has no line end.
type base64Reader struct {
	from  io.Reader
	in    []byte // octets of from, for a whole number of lines
	lines []byte // the octets of in, encoded
	rest  []byte // the part of lines that Read has not returned yet
	begun bool   // the first line has been encoded
	err   error  // of from
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

// fill reads from, and encodes the next lines.
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
