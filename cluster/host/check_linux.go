package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Check returns what real nodes lack on this machine, and what to do.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root (namespaces, cgroups, nftables): run as root")
	}
	if missing := missingCapabilities(); len(missing) > 0 {
		return fmt.Errorf("real nodes need the capabilities %s, which root lacks here: run where root has them", strings.Join(missing, ", "))
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("real nodes need the program nft: install it (Debian: apt-get install nftables)")
	}
	// It asks the kernel, and has it load its module when that is one.
	if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil {
		return fmt.Errorf("real nodes need nftables in the kernel (CONFIG_NF_TABLES), but nft says %q: use a kernel that has it", firstLine(out))
	}
	return checkOverlay()
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

func missingCapabilities() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil // what is missing shows later, less clearly
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_NET_ADMIN, "NET_ADMIN"}, {unix.CAP_SYS_ADMIN, "SYS_ADMIN"}} {
		if data[0].Effective&(1<<c.bit) == 0 {
			missing = append(missing, "CAP_"+c.name)
		}
	}
	return missing
}

// checkOverlay has the kernel load overlayfs when it is a module.
func checkOverlay() error {
	has := func() bool {
		known, err := os.ReadFile("/proc/filesystems")
		return err != nil || strings.Contains(string(known), "\toverlay\n")
	}
	if has() || exec.Command("modprobe", "overlay").Run() == nil && has() {
		return nil
	}
	return errors.New("real nodes need overlayfs in the kernel (CONFIG_OVERLAY_FS): use a kernel that has it")
}
