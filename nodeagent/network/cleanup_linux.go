package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Cleanup removes every namespace, link, route, host port and nftables table of the
// cluster from the machine, those of its proxies too if their tables' names begin
// with coracle-<prefix>. It returns what it removed, a line each. It goes on
// after errors and can be called again.
func Cleanup(ctx context.Context, prefix string) (removed []string, err error) {
	if !validPrefix.MatchString(prefix) {
		return nil, fmt.Errorf("cleaning up the network: prefix %q is not 6 hexadecimal digits", prefix)
	}
	n := names{prefix}
	var failures []error
	for _, step := range []func() ([]string, error){
		n.removeNamespaces,
		n.removeLinks,
		func() ([]string, error) { return n.removeTables(ctx) },
		func() ([]string, error) { return n.removeSandboxes(ctx, resultsDir) },
		n.removeState,
	} {
		done, err := step()
		removed = append(removed, done...)
		failures = append(failures, err)
	}
	return removed, errors.Join(failures...)
}

// removeNamespaces takes all inside along: links, routes and tables.
func (n names) removeNamespaces() (removed []string, err error) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing network namespaces: %w", err)
	}
	var failures []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "coracle-"+n.prefix+"-") {
			continue
		}
		if err := netns.DeleteNamed(e.Name()); err != nil {
			failures = append(failures, fmt.Errorf("removing network namespace %s: %w", e.Name(), err))
			continue
		}
		removed = append(removed, "network namespace "+e.Name())
	}
	return removed, errors.Join(failures...)
}

// removeLinks removes the cluster's links and pods' links that hang on them;
// their routes go along.
func (n names) removeLinks() (removed []string, err error) {
	h, err := Handle("")
	if err != nil {
		return nil, err
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	ours := map[int]bool{}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, n.link("")) {
			ours[l.Attrs().Index] = true
		}
	}
	var failures []error
	for _, l := range links {
		if !ours[l.Attrs().Index] && !ours[l.Attrs().MasterIndex] {
			continue
		}
		err := h.LinkDel(l)
		var gone netlink.LinkNotFoundError
		switch {
		case err == nil:
			removed = append(removed, "network link "+l.Attrs().Name)
		case errors.As(err, &gone) || errors.Is(err, unix.ENODEV):
			// It went with its other half.
		default:
			failures = append(failures, fmt.Errorf("removing link %s: %w", l.Attrs().Name, err))
		}
	}
	return removed, errors.Join(failures...)
}

// removeTables removes the tables in the machine's namespace.
func (n names) removeTables(ctx context.Context) (removed []string, err error) {
	nft, err := exec.LookPath("nft")
	if err != nil {
		// Without nft nothing was ever written.
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, nft, "list", "tables").Output()
	if err != nil {
		return nil, fmt.Errorf("listing nftables tables: %w", err)
	}
	var failures []error
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // table FAMILY NAME
		if len(f) != 3 || !n.ofTable(f[2]) {
			continue
		}
		if err := exec.CommandContext(ctx, nft, "delete", "table", f[1], f[2]).Run(); err != nil {
			failures = append(failures, fmt.Errorf("removing nftables table %s: %w", f[2], err))
			continue
		}
		removed = append(removed, "nftables table "+f[1]+" "+f[2])
	}
	return removed, errors.Join(failures...)
}

// removeState removes the addresses' files in their default place.
func (n names) removeState() (removed []string, err error) {
	dir := filepath.Join("/run/coracle", n.prefix)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing %s: %w", dir, err)
	}
	// The directory above goes with its last cluster.
	_ = os.Remove(filepath.Dir(dir))
	return []string{"directory " + dir}, nil
}
