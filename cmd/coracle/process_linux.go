package main

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// processStart returns when this process was started, to the kernel's tick of 10 ms.
func processStart() time.Time {
	now := time.Now()
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return now
	}
	// The name in parentheses may hold spaces; starttime is the 20th field after it.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return now
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return now
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return now
	}
	age := time.Duration(up.Nano()) - time.Duration(ticks)*(time.Second/100)
	return now.Add(-age)
}
