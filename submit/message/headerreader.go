package message

import (
	"bytes"
	"io"
	"slices"

	"sendoff/submit/status"
)

// A headerReader reads the header of a message. Where it is open whether there is
// a header at all, it also writes what it reads to text, as a body.
type headerReader struct {
	*scanner
	fields []field
	dot    bool // a lone dot ends the message
	held   bool // the scanner's piece is of the body, or the dot
	total  int
	limit  int         // of total
	kind   status.Kind // of the error of a header that is longer
	build  fieldBuilder

	text    *bodyWriter // nil if there is a header, if only an empty one
	known   bool        // there is a field that mail knows
	noField bool        // there is a line that is of no field
	fault   error       // of the header, if it is one
}

// knownFields are the fields by one of which a header is told from text, as matches
// has them.
var knownFields = [...]string{
	"From", "To", "Cc", "Bcc", "Subject", "Date", "MIME-Version", "Content-", "Message-ID", "Reply-To", "Received", "Resent-", "List-", "X-",
}

func (f field) isKnown() bool { return slices.ContainsFunc(knownFields[:], f.matches) }

// What input is taken for, where that is open.
const (
	withHeader = "a message with a header"
	plainText  = "text without a header"
	noHeader   = "text without a header, all of it body: " // though it looks like one
)

// verdict says what the input is, "" where that was not open.
func (h *headerReader) verdict() string {
	switch {
	case h.text == nil:
		return ""
	case h.known && !h.noField:
		return withHeader
	case h.text.size == 0 || len(h.fields) == 0:
		return plainText
	case h.noField:
		return noHeader + "not all lines before the first blank one are header fields"
	}
	return noHeader + "no line before the first blank one is a field such as From, To or Subject"
}

// isDot reports whether the piece just read is the line that ends the message.
func (h *headerReader) isDot() bool {
	return h.dot && h.end && h.first && len(h.piece) == 1 && h.piece[0] == '.'
}

// read reads up to the blank line, the first line that cannot be of a header,
// or the message's end. The lines that separate messages in an mbox file are
// skipped at the start. A blank line is of the body if what stands before it is.
func (h *headerReader) read() error {
	skip := false
	for {
		err := h.next()
		piece := h.piece
		switch {
		case err == io.EOF:
			return h.endField()
		case err != nil:
			return status.NoInput.Errorf("reading the message: %w", err)
		case h.isDot():
			h.held = true
			return h.endField()
		case !h.first:
		case len(piece) == 0:
			return h.endHeader()
		case len(h.fields) == 0 && h.build.isEmpty() && isMboxLine(piece):
			skip = true
		case isSpace(piece[0]) && !h.build.isEmpty():
		case nameLength(piece) > 0:
			skip = false
			if err := h.endField(); err != nil {
				return err
			}
		default:
			h.held, h.noField = true, true
			return h.endField()
		}
		if h.text != nil {
			if err := h.text.write(piece, h.end); err != nil {
				return err
			}
		}
		if skip {
			continue
		}
		if err := h.count(piece); err != nil || h.noField {
			return err
		}
		h.build.add(piece, h.end)
	}
}

// count adds piece to what the header takes. Without a known field, what is too
// long for a header is text, which may be as long as it likes.
func (h *headerReader) count(piece []byte) error {
	if h.first && !isSpace(piece[0]) {
		h.total += fieldCost
	}
	if h.total += len(piece) + 2; h.total <= h.limit {
		return nil
	}
	begun := field{raw: h.build.raw, name: nameLength(h.build.raw)}
	if h.text != nil && !h.known && !begun.isKnown() {
		h.noField = true
		return nil
	}
	return h.kind.Errorf("header too long: it is over %d KiB", h.limit>>10)
}

func (h *headerReader) endHeader() error {
	if err := h.endField(); err != nil {
		return err
	}
	if h.text != nil && !h.known && h.text.size > 0 {
		return h.text.write(nil, true)
	}
	return nil
}

func (h *headerReader) endField() error {
	if h.build.isEmpty() {
		return nil
	}
	f := h.build.field()
	h.known = h.known || f.isKnown()
	if bytes.IndexByte(f.raw, 0) >= 0 && h.fault == nil {
		h.fault = status.Data.Errorf("NUL character in the header field %s", f.raw[:f.name])
		if h.text == nil {
			return h.fault
		}
	}
	h.fields = append(h.fields, f)
	return nil
}
