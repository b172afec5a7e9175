//go:build bench && linux

package bench

import (
	"fmt"
	"strings"
	"testing"
)

// The rows of README's table: each says its unit, and which direction is better.
const (
	rowOne     = "one message, TLS, login: ms, less is better"
	rowFar     = "the same, round trip 50 ms: ms, less is better"
	rowHundred = "to 100 recipients, round trip 50 ms: ms, less is better"
	rowPipe    = "100 MB from a pipe over TLS: MB/s, more is better"
	rowFile    = "100 MB from a file over TLS, curl --crlf: MB/s, more is better"
	rowIn1     = "into the queue, 1 process: messages/s, more is better"
	rowIn8     = "into the queue, 8 processes: messages/s, more is better"
	rowOut     = "out of the queue: messages/s, more is better"
	rowOutFar  = "out of the queue, round trip 50 ms: messages/s, more is better"
)

var (
	readmeRows    = []string{rowOne, rowFar, rowHundred, rowPipe, rowFile, rowIn1, rowIn8, rowOut, rowOutFar}
	readmeColumns = []string{"sendoff", "msmtp", "curl", "nullmailer", "Postfix", "dma", "Exim"}
)

// A cell is the place of a figure in README's table.
type cell struct{ row, column string }

// note notes a figure for README.
func (d *desk) note(row, column string, figure float64) { d.notes[cell{row, column}] = figure }

// readme prints README's table, with the rows that were measured.
func (d *desk) readme() {
	if len(d.notes) == 0 || testing.Short() { // a few runs say nothing
		return
	}
	d.printf("For README:\n\n| | %s |\n|%s", strings.Join(readmeColumns, " | "), strings.Repeat(" --- |", 1+len(readmeColumns)))
	for _, row := range readmeRows {
		line, measured := "| "+row+" |", false
		for _, column := range readmeColumns {
			figure, ok := d.notes[cell{row, column}]
			if measured = measured || ok; ok {
				line += fmt.Sprintf(" %.0f", figure)
			}
			line += " |"
		}
		if measured {
			d.printf("%s", line)
		}
	}
}
