package main

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dropText unmaps the pages of the executable's code and constants, which the
// kernel keeps in its page cache: what runs again comes back without the disk.
// A start touches a lot of code that never runs again.
func dropText() {
	constant, err := constantOffsets()
	if err != nil {
		return // without /proc the pages stay: nothing else is lost
	}
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
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
		var offset uint64
		if !strings.HasSuffix(lines.Text(), executable) {
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %x", &from, &to, &permissions, &offset); err != nil || strings.Contains(permissions, "w") || !constant[offset] {
			continue
		}
		// The pages are the file's and never written: dropping them changes nothing.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}

// constantOffsets returns the offsets in the file of the segments that are
// never written. Not every read-only mapping is one: in a program that uses
// libc, the dynamic linker fills the table of its functions and then makes it
// read-only. Dropped, that table would be empty again.
func constantOffsets() (map[uint64]bool, error) {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("reading the executable: %w", err)
	}
	defer file.Close()
	page := uint64(os.Getpagesize())
	offsets := map[uint64]bool{}
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_W == 0 {
			offsets[p.Off/page*page] = true
		}
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_W != 0 {
			delete(offsets, p.Off/page*page)
		}
	}
	return offsets, nil
}
