package apis

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
)

// KubernetesVersion is the API level Coracle offers: what kubectl shows of
// server and nodes.
const KubernetesVersion = "v1.37.2"

// KubernetesMinor returns KubernetesVersion without its patch, such as "1.37".
func KubernetesMinor() string {
	v := version.MustParseSemantic(KubernetesVersion)
	return fmt.Sprintf("%d.%d", v.Major(), v.Minor())
}
