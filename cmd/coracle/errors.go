package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// oneLine makes an error one line, with advice about a full disk.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	var code exitCode
	var line lineError
	if errors.As(err, &code) || errors.As(err, &line) {
		return err
	}
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		text += " (the disk is full: free space, or choose another --data-dir)"
	}
	return lineError{text, err}
}

// lineError is an error in other words.
type lineError struct {
	text string
	err  error
}

func (e lineError) Error() string { return e.text }
func (e lineError) Unwrap() error { return e.err }

// stamp returns the time since the program started, as every line begins with.
func stamp(started time.Time) string {
	return fmt.Sprintf("%6.2f s ", time.Since(started).Seconds())
}
