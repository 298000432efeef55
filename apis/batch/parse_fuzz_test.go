package batch

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// FuzzParseSchedule reads schedules and asks for their next time, which is never
// before the time it is asked for, and is found soon.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{"* * * * *", "*/5 0-3,7 L * MON", "@every 1s", "@every -1s", "@every 9999999h", "@reboot", "@hourly", "TZ=", "TZ=x", "CRON_TZ=Asia/Kolkata 0 0 * * *", "TZ=Local", "0 0 31 2 *", "*/0 * * * *", "60 * * * *", "1-0 * * * *", "0/9999999999 * * * *", "* * * * * *", "TZ=../../etc/passwd * * * * *", "? ? ? ? ?"} {
		f.Add(text, int64(1767225600))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		if len(text) > 1<<12 {
			return
		}
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		from := time.Unix(seconds%(1<<33), 0).UTC()
		if next := s.Next(from); !next.IsZero() && !next.After(from) {
			t.Errorf("%q after %v is %v", text, from, next)
		}
	})
}

// FuzzParseIntervals reads completion indexes; what is read is written and read again.
func FuzzParseIntervals(f *testing.F) {
	for _, text := range []string{"", "0", "1,3-5,7", "5-3", "1,1", "-1", "1-", "1-2-3", "2147483648", "+1", " 1", "0-9,9", "1,"} {
		f.Add(text, int32(10))
		f.Add(text, int32(-1))
	}
	f.Fuzz(func(t *testing.T, text string, completions int32) {
		list, err := parseIntervals(text, completions)
		if err != nil {
			return
		}
		var parts []string
		for _, in := range list {
			if in.first < 0 || in.first > in.last || in.last >= completions {
				t.Fatalf("%q reads %v of %d", text, list, completions)
			}
			if in.first == in.last {
				parts = append(parts, fmt.Sprint(in.first))
			} else {
				parts = append(parts, fmt.Sprintf("%d-%d", in.first, in.last))
			}
		}
		if same, err := parseIntervals(strings.Join(parts, ","), completions); err != nil || fmt.Sprint(same) != fmt.Sprint(list) {
			t.Errorf("%q reads %v, then %v, %v", text, list, same, err)
		}
	})
}
