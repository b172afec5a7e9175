package submit_test

import (
	"context"
	"io"

	"sendoff/submit"
	"sendoff/submit/doctor"
)

func init() {
	submit.RunDoctor = func(ctx context.Context, s *submit.Submitter, w io.Writer) error {
		return doctor.Run(ctx, s, w, doctor.Checkup{})
	}
}
