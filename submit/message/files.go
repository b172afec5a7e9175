package message

import (
	"mime"
	"strings"
)

// Values returns the values of the fields name that are sent, without line ends.
func (m *Message) Values(name string) (values []string) {
	for _, f := range m.fields {
		if f.is(name) && f.isSent() {
			values = append(values, strings.TrimSpace(unfolded(string(f.value()))))
		}
	}
	return values
}

// FileNames returns the names of the files in the message, also in signed mail, decoded. It
// does not look deeper than maxDepth.
func (m *Message) FileNames() (names []string) {
	r := recoder{src: scanBody(m.body)}
	look := func(fields []field) {
		for _, row := range [...]struct{ field, parameter string }{{"Content-Disposition", "filename"}, {"Content-Type", "name"}} {
			f := find(fields, row.field)
			if f == nil || len(f.raw) > maxStructured {
				continue
			}
			_, parameters, _ := mime.ParseMediaType(unfolded(string(f.value())))
			if name := decode(parameters[row.parameter]); name != "" {
				names = append(names, name)
			}
		}
		if t := contentType(fields, "text/plain"); t.boundary != "" && len(r.bounds) < maxDepth {
			r.bounds = append(r.bounds, "--"+t.boundary)
		}
	}
	look(m.fields)
	for !r.src.done {
		level, last := r.delimiter(r.src)
		r.src.next()
		if level >= 0 {
			r.bounds = r.bounds[:level+1] // the parts within this one have ended
		}
		if level >= 0 && !last {
			fields, _, _ := r.header()
			look(fields)
		}
	}
	return names
}
