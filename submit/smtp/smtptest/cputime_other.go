//go:build !unix

package smtptest

import "time"

var start = time.Now()

// processorTime returns the time since the start, which is more.
func processorTime() time.Duration { return time.Since(start) }
