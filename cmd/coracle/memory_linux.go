package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dropText unmaps the pages of the executable's code and constants, which the
// kernel keeps in its page cache: what runs again comes back without the disk.
// A start touches a lot of code that never runs again.
func dropText() {
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // without /proc the pages stay: nothing else is lost
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uintptr
		var permissions string
		if !strings.HasSuffix(lines.Text(), executable) {
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &permissions); err != nil || strings.Contains(permissions, "w") {
			continue
		}
		// The pages are the file's and never written: dropping them changes nothing.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}
