package submit

import (
	"context"
	"io"
)

// RunDoctor is doctor.Run, which link_test.go puts here: tests of this package cannot
// import what is above it.
var RunDoctor func(context.Context, *Submitter, io.Writer) error
