package peers

import (
	"context"
	"time"
)

// Round and Leave run the steps of Start once.
func (m *Member) Round(ctx context.Context) (time.Duration, error) { return m.round(ctx) }
func (m *Member) Leave(ctx context.Context) error                  { return m.leave(ctx) }
