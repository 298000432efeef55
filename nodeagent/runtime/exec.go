package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Exec runs a command in a container and returns the first 10 KiB of its output, and its exit
// code. A timeout of 0 means none; after it the error is context.DeadlineExceeded.
func Exec(ctx context.Context, s Service, id string, command []string, timeout time.Duration) (string, int32, error) {
	if timeout > 0 {
		// The runtime ends the command; its answer may come a little later.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout+5*time.Second)
		defer cancel()
	}
	response, err := s.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
		ContainerId: id, Cmd: command, Timeout: int64((timeout + time.Second - 1) / time.Second),
	})
	if TimedOut(err) {
		return "", 0, context.DeadlineExceeded
	}
	if err != nil {
		return "", 0, errors.New(Text(err))
	}
	const most = 10 << 10
	out := slices.Concat(response.Stdout, response.Stderr)
	return string(out[:min(len(out), most)]), response.ExitCode, nil
}
