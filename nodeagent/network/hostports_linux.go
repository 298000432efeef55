package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/knftables"
)

// resultsDir is the directory in which libcni, within containerd, records the
// networks it made.
const resultsDir = "/var/lib/cni/results"

// hostPortTable is the portmap plugin's, for all clusters of the machine.
const hostPortTable = "cni_hostport"

// removeSandboxes removes what CNI left of sandboxes that were not torn down: their
// host ports' rules, which name them in comments, and libcni's files. The table,
// which clusters share, is removed without a report when no rule is left in it.
func (n names) removeSandboxes(ctx context.Context, results string) (removed []string, err error) {
	own := "coracle-" + n.prefix + "-" // network, sandbox, interface
	files, err := filepath.Glob(filepath.Join(results, own+"*"))
	if err != nil {
		return nil, fmt.Errorf("listing networks of pods: %w", err)
	}
	sandboxes := map[string]bool{}
	for _, file := range files {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(file), own), "-")
		sandboxes[id] = true
	}
	removed, err = removeHostPorts(ctx, sandboxes)
	failures := []error{err}
	for _, file := range files {
		failures = append(failures, os.Remove(file))
	}
	if len(files) > 0 {
		removed = append(removed, fmt.Sprintf("%d files in %s", len(files), results))
		// The directories go with their last file.
		_ = os.Remove(results)
		_ = os.Remove(filepath.Dir(results))
	}
	return removed, errors.Join(failures...)
}

func removeHostPorts(ctx context.Context, sandboxes map[string]bool) (removed []string, err error) {
	nft, err := NFT("", knftables.IPv4Family, hostPortTable)
	if err != nil {
		// Without nft nothing was ever written.
		return nil, nil
	}
	tx := nft.NewTransaction()
	others := false
	for _, chain := range []string{"hostports", "hostip_hostports", "masquerading"} {
		rules, err := nft.ListRules(ctx, chain)
		if knftables.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing host ports: %w", err)
		}
		for _, rule := range rules {
			if rule.Comment == nil || !sandboxes[*rule.Comment] {
				others = true
				continue
			}
			tx.Delete(rule)
		}
	}
	ours := tx.NumOperations()
	if !others {
		tx = nft.NewTransaction()
		tx.Delete(&knftables.Table{})
	}
	if ours == 0 && others {
		return nil, nil
	}
	if err := nft.Run(ctx, tx); err != nil {
		if knftables.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("removing host ports: %w", err)
	}
	if ours == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("%d rules of host ports", ours)}, nil
}
