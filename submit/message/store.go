package message

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"sendoff/submit/status"
)

const (
	chunkSize  = 64 << 10
	maxInCore  = 1 << 20 // octets; a larger body is in a file
	everyEight = 0x8080808080808080
)

// A store keeps a body, which is written once and may be read many times. A small body is
// in memory. A large body is in the file that it comes from, or in a temporary file
// without a name, which disappears even if the process is killed.
type store struct {
	octets
	chunks [][]byte  // the body in memory; all chunks are full, except the last
	tail   []byte    // the last octets, which are not yet in chunks or file
	file   file      // has a large body; nil: the body is in memory
	name   string    // of file, to be removed later; "": file has no name
	from   *original // becomes file, instead of a temporary file; nil: the body comes from no file
	size   int64     // octets of the body
}

// A file holds a body that is not in memory.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// An original is the part of a file that already has the body. Write changes nothing: it
// compares the body with the file.
type original struct {
	*io.SectionReader
	buf []byte
}

// errChanged is the error if a body differs from its original.
var errChanged = errors.New("the body is not as it was written")

// Write implements io.Writer. It returns errChanged if the next octets of o are not p.
func (o *original) Write(p []byte) (int, error) {
	if cap(o.buf) < len(p) {
		o.buf = make([]byte, len(p))
	}
	buf := o.buf[:len(p)]
	n, err := io.ReadFull(o, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == nil && !bytes.Equal(buf, p) {
		return 0, errChanged
	}
	return n, err
}

// Close implements io.Closer. The file stays open: the caller of the package's Open owns it.
func (o *original) Close() error { return nil }

// Write implements io.Writer. Its errors are of kind Temporary.
func (s *store) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	for rest := p; ; {
		n := min(len(rest), cap(s.tail)-len(s.tail))
		s.tail = append(s.tail, rest[:n]...)
		rest = rest[n:]
		if len(rest) == 0 {
			return len(p), nil
		}
		if cap(s.tail) == chunkSize {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
		if cap(s.tail) < chunkSize {
			s.grow()
		}
	}
}

// grow makes room in tail: a whole chunk, but for the first chunk less at first, because
// most bodies are small.
func (s *store) grow() {
	size := chunkSize
	if s.file == nil && len(s.chunks) == 0 {
		size = min(max(firstSize, 4*cap(s.tail)), chunkSize)
	}
	s.tail = append(make([]byte, 0, size), s.tail...)
}

// flush moves tail to chunks and, if the body is large, all chunks to the file.
func (s *store) flush() error {
	s.inspect(s.tail)
	if len(s.tail) > 0 {
		s.chunks = append(s.chunks, s.tail)
		s.tail = nil
	}
	if s.size <= maxInCore {
		return nil
	}
	if err := s.spill(); err != nil {
		return status.Temporary.Errorf("cannot keep a large message: %w", err)
	}
	return nil
}

// finish must be called after the last Write and before the first read.
// It returns errChanged if the original has more octets than the body.
func (s *store) finish() error {
	if len(s.tail) == 0 {
		return nil
	}
	err := s.flush()
	s.tail = nil
	s.notUTF8 = s.notUTF8 || len(s.partial) > 0
	if s.file != nil && s.from != nil {
		s.from.buf = nil
		if s.size != s.from.Size() {
			err = errChanged
		}
	}
	return err
}

func (s *store) reset() error {
	err := s.close()
	*s = store{}
	return err
}

// hasEightBit reports whether b has an octet over 127.
func hasEightBit(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&everyEight != 0 {
			return true
		}
	}
	for _, c := range b {
		if c > 127 {
			return true
		}
	}
	return false
}

// spill writes chunks to the file, and reuses the memory of the last one for tail.
func (s *store) spill() error {
	if s.file == nil && s.from != nil {
		s.file = s.from
	} else if s.file == nil {
		f, name, err := createSpill()
		if err != nil {
			return err
		}
		s.file, s.name = f, name
	}
	for _, c := range s.chunks {
		if _, err := s.file.Write(c); err != nil {
			return err
		}
		s.tail = c[:0]
	}
	s.chunks = s.chunks[:0]
	return nil
}

// spillFolders are the folders for a large body: the first in which a file can be made is
// used. "" is os.TempDir. Only tests change them.
var spillFolders = []string{"", "/tmp", "/var/tmp"}

// createSpill returns a new file that has been removed already. On a system where an open
// file cannot be removed, it returns the name of the file, too.
func createSpill() (*os.File, string, error) {
	var first error
	for _, dir := range spillFolders {
		f, err := os.CreateTemp(dir, "sendoff-*")
		switch {
		case err != nil:
			first = cmp.Or(first, err)
		case os.Remove(f.Name()) != nil:
			return f, f.Name(), nil
		default:
			return f, "", nil
		}
	}
	if f, err := createInMemory(); err == nil {
		return f, "", nil
	}
	return nil, "", first
}

func (s *store) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	n := 0
	for n < len(p) && off < s.size {
		c := copy(p[n:], s.chunks[off/chunkSize][off%chunkSize:])
		n += c
		off += int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *store) open() io.Reader { return io.NewSectionReader(s, 0, s.size) }

func (s *store) close() error {
	s.chunks, s.tail = nil, nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		os.Remove(s.name)
	}
	return err
}

// A bodyWriter writes the lines of a body to a store, each with CRLF at its end.
type bodyWriter struct {
	*store
	length int  // octets of the current line
	long   bool // a line was over maxLine
}

var crlf = []byte("\r\n")

// write writes a piece of a line; end says that it ends the line. A CR in piece ends a
// line, too.
func (b *bodyWriter) write(piece []byte, end bool) error {
	for {
		line, rest, more := bytes.Cut(piece, []byte("\r"))
		if err := b.writeLine(line, end || more); err != nil || !more {
			return err
		}
		piece = rest
	}
}

func (b *bodyWriter) writeLine(p []byte, end bool) error {
	b.length += len(p)
	b.long = b.long || b.length > maxLine
	if n := len(b.tail); end && n+len(p)+2 <= cap(b.tail) {
		b.tail = append(append(b.tail, p...), '\r', '\n')
		b.size += int64(len(p)) + 2
		b.length = 0
		return nil
	}
	if _, err := b.Write(p); err != nil || !end {
		return err
	}
	b.length = 0
	_, err := b.Write(crlf)
	return err
}
