package server

import (
	"net/url"
	"testing"
	"time"
)

// FuzzQuery reads the parameters of logs and of streams.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"", "follow=true&previous=1&timestamps=x", "tailLines=-1", "tailLines=9223372036854775808", "sinceSeconds=9223372036854775807", "sinceTime=2026-01-01T00:00:00Z&stream=Stdout", "sinceTime=x", "limitBytes=+5",
		"stdin=true&tty=1", "input=1&output=1&error=1&tty=0", "%", "a;b", "stdin=&stdin=true",
	} {
		f.Add(q)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if s, err := parseStreams(q); err == nil && (!s.stdin && !s.stdout && !s.stderr || s.tty && s.stderr) {
			t.Errorf("%q asks for %+v", text, s)
		}
		o, err := logOptions(q)
		if err != nil {
			return
		}
		for _, n := range []*int64{o.TailLines, o.LimitBytes, o.SinceSeconds} {
			if n != nil && *n < 0 {
				t.Errorf("%q asks for %d", text, *n)
			}
		}
		if since := readOptions(o, now).Since; o.SinceSeconds != nil && since.After(now) {
			t.Errorf("%q asks for what is written after %v", text, since)
		}
	})
}
