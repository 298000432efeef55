package nodestatus

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ReadMachine reads what the machine is; dir is on the file system that pods'
// local storage is on.
func ReadMachine(dir string) (Machine, error) {
	memory, err := memoryTotal()
	if err != nil {
		return Machine{}, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Machine{}, fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	m := Machine{Capacity: corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(goruntime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(fs.Blocks)*fs.Bsize, resource.BinarySI),
	}}
	hugePages(m.Capacity)
	m.Info = corev1.NodeSystemInfo{
		MachineID:       line("/etc/machine-id"),
		SystemUUID:      line("/sys/class/dmi/id/product_uuid"),
		BootID:          line("/proc/sys/kernel/random/boot_id"),
		KernelVersion:   line("/proc/sys/kernel/osrelease"),
		OSImage:         osImage(),
		OperatingSystem: goruntime.GOOS,
		Architecture:    goruntime.GOARCH,
	}
	if m.Info.SystemUUID == "" {
		m.Info.SystemUUID = m.Info.MachineID
	}
	return m, nil
}

func memoryTotal() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("reading memory size: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading memory size: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("reading memory size: no MemTotal in /proc/meminfo")
}

// hugePages adds the huge pages that the kernel has set aside.
func hugePages(capacity corev1.ResourceList) {
	dirs, _ := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*kB") // the pattern is well-formed
	for _, dir := range dirs {
		size, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "hugepages-"), "kB"), 10, 64)
		if err != nil {
			continue
		}
		count, _ := strconv.ParseInt(line(filepath.Join(dir, "nr_hugepages")), 10, 64)
		name := corev1.ResourceHugePagesPrefix + resource.NewQuantity(size<<10, resource.BinarySI).String()
		capacity[corev1.ResourceName(name)] = *resource.NewQuantity(count*(size<<10), resource.BinarySI)
	}
}

// line returns a file's first line, empty if it cannot be read.
func line(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(first)
}

func osImage() string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "Linux"
	}
	for l := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(l), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return "Linux"
}
