package apis

// AnnotationDNS is on a Node that answers DNS queries for the cluster: the
// address and port, for UDP and TCP, such as 10.244.0.1:40053.
const AnnotationDNS = "coracle.dev/dns"
