package apis

// AnnotationDNS is on a Node that answers DNS queries for the cluster: the
// address and port, for UDP and TCP, such as 10.244.0.1:40053.
const AnnotationDNS = "coracle.dev/dns"

// AnnotationAdvertise is on the Lease of an API server that is one of several:
// the address and port at which pods reach it, such as 10.0.0.1:6443.
const AnnotationAdvertise = "coracle.dev/advertise"
