//go:build linux || darwin || freebsd

package queue

import "testing"

// TestSpace knows how large the disk of a queue is, and how much of it is free.
func TestSpace(t *testing.T) {
	q := openTest(t)
	if free, total := q.disk.space(); total < 1<<20 || free < 0 || free > total {
		t.Errorf("%d octets free of %d", free, total)
	}
	q.disk.(rooted).root.Close()
	if free, total := q.disk.space(); free != 0 || total != 0 {
		t.Errorf("of a folder that is closed: %d octets free of %d", free, total)
	}
}
