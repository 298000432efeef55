package apis

// KubernetesVersion is the API level Coracle offers: what kubectl shows of
// server and nodes.
const KubernetesVersion = "v1.37.2"
