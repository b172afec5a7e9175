package message

import (
	"bytes"
	"io"
	"slices"

	"sendoff/submit/status"
)

// A headerReader reads the header of a message. If the input may be text without a
// header, it also writes the lines to text, as a body.
type headerReader struct {
	*scanner
	fields []field
	dot    bool        // a line of a single dot ends the message
	held   bool        // the scanner's piece was read, but is not part of the header
	total  int         // memory that the header takes, in octets
	limit  int         // the largest total
	kind   status.Kind // of the error if total exceeds limit
	build  fieldBuilder

	text    *bodyWriter // gets the lines as a body; nil: the input has a header, perhaps an empty one
	known   bool        // there is a field of knownFields
	noField bool        // there is a line that is not part of a field
	fault   error       // the error of the header, if the input has one; nil: none
}

// knownFields are the fields that show that the input has a header, by a name for matches.
var knownFields = [...]string{
	"From", "To", "Cc", "Bcc", "Subject", "Date", "MIME-Version", "Content-", "Message-ID", "Reply-To", "Received", "Resent-", "List-", "X-",
}

func (f field) isKnown() bool { return slices.ContainsFunc(knownFields[:], f.matches) }

// The verdicts about an input that may be text without a header.
const (
	withHeader = "a message with a header"
	plainText  = "text without a header"
	noHeader   = "text without a header, all of it body: " // the input begins like a header; the reason follows
)

// verdict returns in words how the input is read; "": the input has a header in any case.
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

// isDot reports whether the last piece is the line of a single dot that ends the message.
func (h *headerReader) isDot() bool {
	return h.dot && h.end && h.first && len(h.piece) == 1 && h.piece[0] == '.'
}

// read reads the header, up to a blank line, a line that cannot be part of a header, or
// the end of the message. It skips "From " lines of an mbox file at the start. If the
// lines before the blank line turn out to be text, the blank line is in text, too.
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

// count adds piece to total. If the header is too long, and may still be text, it sets
// noField: text may have any length.
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
