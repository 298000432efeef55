package cache

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// zone identifies the failure domain of a node, or "" where it has none.
func zone(node *v1.Node) string {
	region, zone := node.Labels[v1.LabelTopologyRegion], node.Labels[v1.LabelTopologyZone]
	if region == "" && zone == "" {
		return ""
	}
	return region + "\x00" + zone
}

// interleaveZones returns names of nodes, one of each zone in turn; zones and
// the nodes in them in order of name.
func interleaveZones(nodes []*v1.Node) []string {
	slices.SortFunc(nodes, func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) })
	byZone := map[string][]string{}
	var zones []string
	for _, n := range nodes {
		z := zone(n)
		if _, ok := byZone[z]; !ok {
			zones = append(zones, z)
		}
		byZone[z] = append(byZone[z], n.Name)
	}
	slices.Sort(zones)
	out := make([]string, 0, len(nodes))
	for i := 0; len(out) < len(nodes); i++ {
		for _, z := range zones {
			if i < len(byZone[z]) {
				out = append(out, byZone[z][i])
			}
		}
	}
	return out
}
