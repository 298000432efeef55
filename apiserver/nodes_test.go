package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// nodeRequest is a request of the node x, in the order of the table.
type nodeRequest struct {
	does    string // verb and resource of the node's rules
	path    string
	body    string
	code    int
	refusal string
}

const (
	podsPath   = "/api/v1/namespaces/t/pods"
	leasesPath = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	csrPath    = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	slicesPath = "/apis/resource.k8s.io/v1/resourceslices"
	claimPath  = "/apis/resource.k8s.io/v1/namespaces/t/resourceclaims/foreign"
)

// TestWhatANodeMayWrite asks with the certificate of a node for all that its
// rules let any node write, of its own and of others. A rule without a refusal
// of what is not the node's own fails, and so does a new one.
func TestWhatANodeMayWrite(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	admin := func(path, body string) string {
		response, text := s.do(t, http.MethodPost, path, "secret", body)
		g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
		var o metav1.PartialObjectMetadata
		g.Expect(json.Unmarshal([]byte(text), &o)).To(Succeed())
		return string(o.UID)
	}
	admin("/api/v1/namespaces", `{"metadata":{"name":"t"}}`)
	admin("/api/v1/namespaces", `{"metadata":{"name":"kube-node-lease"}}`)
	admin("/api/v1/namespaces/t/serviceaccounts", `{"metadata":{"name":"default"}}`)
	uid := admin("/api/v1/nodes", `{"metadata":{"name":"x"}}`)
	admin("/api/v1/nodes", `{"metadata":{"name":"other"}}`)
	pod := func(name, node, volumes string) string {
		return admin(podsPath, fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"nodeName":%q,"containers":[{"name":"c","image":"i","resources":{"limits":{"example.com/d":"1"}}}],"volumes":[%s]}}`, name, node, volumes))
	}
	mine, theirs := pod("mine", "x", ""), pod("theirs", "other", "")
	for name, node := range map[string]string{"mine": "x", "theirs": "other"} {
		pod("claims-"+name, node, fmt.Sprintf(`{"name":"v","persistentVolumeClaim":{"claimName":%q}}`, name))
		admin("/api/v1/namespaces/t/persistentvolumeclaims", fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`, name))
	}
	admin("/apis/resource.k8s.io/v1/namespaces/t/resourceclaims", `{"metadata":{"name":"foreign"},"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"}}]}}}`)
	admin(slicesPath, slice("theirs", `"nodeName":"other"`))

	certificate := nodeCertificate(t, s, "x")
	covered := map[string]bool{}
	for _, r := range slices.Concat(podRequests(uid), nodeObjectRequests(), tokenRequests(mine, theirs), signingRequests(t), ownObjectRequests()) {
		verb, resource, _ := strings.Cut(r.does, " ")
		method := map[string]string{"get": http.MethodGet, "create": http.MethodPost, "update": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete, "deletecollection": http.MethodDelete}[verb]
		var header []string
		if verb == "patch" {
			header = []string{"Content-Type", "application/merge-patch+json"}
		}
		response, text := s.send(t, &tls.Config{RootCAs: s.authority.Pool(), Certificates: []tls.Certificate{certificate}}, method, r.path, "", r.body, header...)
		if response.StatusCode != r.code || !strings.Contains(text, strings.ReplaceAll(r.refusal, `"`, `\"`)) {
			t.Errorf("%s %s %s:\n got %d %s\nwant %d %s", r.does, r.path, r.body, response.StatusCode, text, r.code, r.refusal)
		}
		covered[r.does] = covered[r.does] || r.refusal != "" || ofAllNodes(resource)
	}
	for _, rule := range rbac.NodeRules() {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				writes := !slices.Contains([]string{"get", "list", "watch"}, verb)
				if same := map[string]string{"update": "patch", "patch": "update"}[verb]; writes && !covered[verb+" "+resource] && !covered[same+" "+resource] {
					t.Errorf("nodes may %s %s: no test of what is not their own", verb, resource)
				}
			}
		}
	}
}

// ofAllNodes reports whether a node may write the resource without restriction, as
// upstream lets it: reviews change nothing, and events are not checked for their node.
func ofAllNodes(resource string) bool {
	return slices.Contains([]string{"tokenreviews", "subjectaccessreviews", "localsubjectaccessreviews", "events"}, resource)
}

func nodeCertificate(t *testing.T, s *server, name string) tls.Certificate {
	t.Helper()
	pair, err := s.authority.Certificate(pki.Request{Name: "node-" + name, User: "system:node:" + name, Groups: []string{"system:nodes"}}, time.Now())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	certificate, err := pair.TLS()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return certificate
}

func podRequests(uid string) []nodeRequest {
	mirror := func(name, rest string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{"kubernetes.io/config.mirror":"h"},"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"x","uid":%q,"controller":true}]},
			"spec":{"nodeName":"x","containers":[{"name":"c","image":"i"}],"tolerations":[{"operator":"Exists"}],"volumes":[{"name":"v",%s}]}}`, name, uid, rest)
	}
	extended := `{"status":{"extendedResourceClaimStatus":{"resourceClaimName":"foreign","requestMappings":[{"containerName":"c","resourceName":"example.com/d","requestName":"r"}]}}}`
	const unrelated = "no relationship found between node 'x' and this object"
	const status = podsPath + "/mine/status"
	rows := []nodeRequest{
		{"patch pods/status", status, `{"status":{"phase":"Running"}}`, 200, ""},
		{"patch pods/status", podsPath + "/theirs/status", `{"status":{"phase":"Running"}}`, 403, `node "x" can only update pod status for pods with spec.nodeName set to itself`},
		{"get resourceclaims", claimPath, "", 403, unrelated},
		{"patch pods/status", status, extended, 403, `node "x" cannot update extended resource claim status`},
		{"patch pods/status", status, `{"status":{"nodeAllocatableResourceClaimStatuses":[{"resourceClaimName":"foreign","containers":["c"],"mapping":[{"name":"cpu","quantity":"1"}]}]}}`, 403, `node "x" cannot update node allocatable resource claim statuses`},
		{"patch pods/status", status, `{"status":{"resourceClaimStatuses":[{"name":"a","resourceClaimName":"foreign"}]}}`, 403, `node "x" cannot update resource claim statues`},
		{"get resourceclaims", claimPath, "", 403, unrelated},
		{"patch pods/status", status, `{"metadata":{"labels":{"a":"b"}}}`, 403, `node "x" cannot update labels through pod status`},
		{"patch pods/status", status, `{"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}}}`, 422, "may not add mirror pod annotation"},
		{"update pods", podsPath + "/mine", `{}`, 403, `cannot update resource "pods"`},
		{"create pods", podsPath, `{"metadata":{"name":"plain"},"spec":{"nodeName":"x","containers":[{"name":"c","image":"i"}]}}`, 403, `pod does not have "kubernetes.io/config.mirror" annotation, node "x" can only create mirror pods`},
		{"create pods", podsPath, mirror("m", `"emptyDir":{}`), 201, ""},
		{"delete pods", podsPath + "/m", "", 200, ""},
		{"delete pods", podsPath + "/theirs", "", 403, `node "x" can only delete pods with spec.nodeName set to itself`},
		{"deletecollection pods", podsPath, "", 403, `cannot deletecollection resource "pods"`},
		{"create pods/eviction", podsPath + "/theirs/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"mine"}}`, 403, "node x can only evict pods with spec.nodeName set to itself"},
		{"create pods/binding", podsPath + "/mine/binding", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"mine"},"target":{"kind":"Node","name":"x"}}`, 403, `cannot create resource "pods/binding"`},
		{"patch pods/resize", podsPath + "/mine/resize", `{}`, 403, `cannot patch resource "pods/resize"`},
		{"patch pods/ephemeralcontainers", podsPath + "/mine/ephemeralcontainers", `{}`, 403, `cannot patch resource "pods/ephemeralcontainers"`},
	}
	for name, m := range map[string][2]string{
		"csi": {`"csi":{"driver":"d"}`, "csidrivers (via CSI volumes)"}, "glusterfs": {`"glusterfs":{"endpoints":"e","path":"p"}`, "endpoints (via glusterFS volumes)"},
		"cinder": {`"cinder":{"volumeID":"a","secretRef":{"name":"s"}}`, "secrets"}, "storageos": {`"storageos":{"volumeName":"v","secretRef":{"name":"s"}}`, "secrets"},
		"scaleio":        {`"scaleIO":{"gateway":"a","system":"s","volumeName":"v","secretRef":{"name":"s"}}`, "secrets"},
		"podcertificate": {`"projected":{"sources":[{"podCertificate":{"signerName":"a.example/b","keyType":"ED25519","credentialBundlePath":"x"}}]}`, "podcertificates"},
		"claim":          {`"persistentVolumeClaim":{"claimName":"c"}`, "persistentvolumeclaims"}, "secret": {`"secret":{"secretName":"s"}`, "secrets"},
		"configmap": {`"configMap":{"name":"s"}`, "configmaps"}, "bundle": {`"projected":{"sources":[{"clusterTrustBundle":{"name":"a","path":"x"}}]}`, "clustertrustbundles"},
	} {
		refusal := `node "x" can not create pods that reference ` + m[1]
		if m[1] == "secrets" {
			refusal = "a mirror pod may not reference secrets" // the plugin ServiceAccount refuses it to every user
		}
		rows = append(rows, nodeRequest{"create pods", podsPath, mirror(name, m[0]), 403, refusal})
	}
	return rows
}

func nodeObjectRequests() []nodeRequest {
	const x, other = "/api/v1/nodes/x", "/api/v1/nodes/other"
	const labels = "is not allowed to modify labels: "
	return []nodeRequest{
		{"create nodes", "/api/v1/nodes", `{"metadata":{"name":"z"}}`, 403, `node "x" is not allowed to modify node "z"`},
		{"create nodes", "/api/v1/nodes", `{"metadata":{"generateName":"x"}}`, 403, `node "x" is not allowed to modify node ""`},
		{"patch nodes", x, `{"metadata":{"labels":{"example.com/a":""}}}`, 200, ""},
		{"patch nodes", x, `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`, 403, labels + "node-role.kubernetes.io/control-plane"},
		{"patch nodes", x, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"x","uid":"u"}]}}`, 403, `node "x" is not allowed to modify ownerReferences`},
		{"patch nodes", x, `{"spec":{"taints":null}}`, 403, `node "x" is not allowed to modify taints`},
		{"patch nodes", x, `{"spec":{"configSource":{"configMap":{"namespace":"t","name":"c","kubeletConfigKey":"k"}}}}`, 403, `node "x" is not allowed to update configSource to a new non-nil configSource`},
		{"patch nodes", other, `{"metadata":{"labels":{"example.com/a":""}}}`, 403, `node "x" is not allowed to modify node "other"`},
		{"patch nodes/status", x + "/status", `{"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}}`, 200, ""},
		{"patch nodes/status", x + "/status", `{"metadata":{"labels":{"node-restriction.kubernetes.io/a":""}}}`, 403, labels + "node-restriction.kubernetes.io/a"},
		{"patch nodes/status", other + "/status", `{"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}}`, 403, `node "x" is not allowed to modify node "other"`},
		{"delete nodes", x, "", 403, `cannot delete resource "nodes"`},
	}
}

func tokenRequests(mine, theirs string) []nodeRequest {
	const path = "/api/v1/namespaces/t/serviceaccounts/default/token"
	token := func(kind, name, uid, audiences string) string {
		return fmt.Sprintf(`{"spec":{"audiences":[%s],"boundObjectRef":{"apiVersion":"v1","kind":%q,"name":%q,"uid":%q}}}`, audiences, kind, name, uid)
	}
	return []nodeRequest{
		{"create serviceaccounts/token", path, token("Pod", "mine", mine, ""), 201, ""},
		{"create serviceaccounts/token", path, token("Pod", "mine", mine, `"other"`), 403, `system:node:x is not authorized to request tokens for audience "other"`},
		{"create serviceaccounts/token", path, token("Pod", "theirs", theirs, ""), 403, "node requested token bound to a pod scheduled on a different node"},
		{"create serviceaccounts/token", path, token("Node", "x", "", ""), 403, "node requested token not bound to a pod"},
		{"create serviceaccounts/token", path, `{"spec":{"audiences":[]}}`, 403, "node requested token not bound to a pod"},
		{"create serviceaccounts/token", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", token("Pod", "mine", mine, ""), 403, "no relationship found between node 'x' and this object"},
		{"create podcertificaterequests", "/apis/certificates.k8s.io/v1/namespaces/t/podcertificaterequests",
			`{"metadata":{"name":"r"},"spec":{"nodeName":"other"}}`, 403, `PodCertificateRequest.Spec.NodeName="other", which is not the requesting node "x"`},
	}
}

func signingRequests(t *testing.T) []nodeRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	body := func(name, node, signer, usage string) string {
		template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}}
		if usage == "server auth" {
			template.DNSNames = []string{node}
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		request := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"signerName":%q,"usages":["digital signature",%q],"request":%q}}`, name, signer, usage, request)
	}
	const client, serving = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
	const create, own = "create certificatesigningrequests", "can only create a node CSR with CN=system:node:x"
	return []nodeRequest{
		{create, csrPath, body("own-client", "x", client, "client auth"), 201, ""},
		{create, csrPath, body("own-serving", "x", serving, "server auth"), 201, ""},
		{create, csrPath, body("other-client", "other", client, "client auth"), 403, own},
		{create, csrPath, body("other-serving", "other", serving, "server auth"), 403, own},
		{create, csrPath, `{"metadata":{"name":"bad"},"spec":{"signerName":"` + client + `","usages":["client auth"],"request":"eA=="}}`, 403, "unable to parse csr: PEM block type must be CERTIFICATE REQUEST"},
		{"update certificatesigningrequests/approval", csrPath + "/own-client/approval", `{}`, 403, `cannot update resource "certificatesigningrequests/approval"`},
	}
}

func ownObjectRequests() []nodeRequest {
	const claim = "/api/v1/namespaces/t/persistentvolumeclaims/"
	const csiNodes = "/apis/storage.k8s.io/v1/csinodes"
	const otherLease, otherCSI = "can only access node lease with the same name as the requesting node", "can only access CSINode with the same name as the requesting node"
	const unrelated = "no relationship found between node 'x' and this object"
	return []nodeRequest{
		{"patch persistentvolumeclaims/status", claim + "mine/status", `{"status":{"conditions":[{"type":"FileSystemResizePending","status":"True"}]}}`, 200, ""},
		{"patch persistentvolumeclaims/status", claim + "mine/status", `{"status":{"currentVolumeAttributesClassName":"x"}}`, 403, `node "x" is not allowed to update fields other than status.quantity and status.conditions: `},
		{"patch persistentvolumeclaims/status", claim + "mine/status", `{"metadata":{"labels":{"a":"b"}}}`, 403, `node "x" is not allowed to update fields other than status.quantity and status.conditions: `},
		{"patch persistentvolumeclaims/status", claim + "theirs/status", `{"status":{"conditions":[]}}`, 403, unrelated},
		{"create leases", leasesPath, `{"metadata":{"name":"x"}}`, 201, ""},
		{"create leases", leasesPath, `{"metadata":{"name":"other"}}`, 403, otherLease},
		{"create leases", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", `{"metadata":{"name":"x"}}`, 403, `can only access leases in the "kube-node-lease" system namespace`},
		{"patch leases", leasesPath + "/other", `{}`, 403, otherLease},
		{"delete leases", leasesPath + "/other", "", 403, otherLease},
		{"create csinodes", csiNodes, `{"metadata":{"name":"x"},"spec":{"drivers":[]}}`, 201, ""},
		{"create csinodes", csiNodes, `{"metadata":{"name":"other"},"spec":{"drivers":[]}}`, 403, otherCSI},
		{"patch csinodes", csiNodes + "/other", `{}`, 403, otherCSI},
		{"delete csinodes", csiNodes + "/other", "", 403, otherCSI},
		{"patch csinodes/status", csiNodes + "/x/status", `{}`, 403, "CSINode status access requires CSIVolumeHealth feature"},
		{"create resourceslices", slicesPath, slice("mine", `"nodeName":"x"`), 201, ""},
		{"create resourceslices", slicesPath, slice("stolen", `"nodeName":"other"`), 403, "can only create ResourceSlice with the same NodeName as the requesting node"},
		{"create resourceslices", slicesPath, slice("all", `"allNodes":true`), 403, "can only create ResourceSlice with the same NodeName as the requesting node"},
		{"patch resourceslices", slicesPath + "/mine", `{"spec":{"nodeName":"other"}}`, 422, "field is immutable"},
		{"patch resourceslices", slicesPath + "/theirs", `{}`, 403, unrelated},
		{"delete resourceslices", slicesPath + "/theirs", "", 403, unrelated},
		{"deletecollection resourceslices", slicesPath, "", 403, "can only list/watch/deletecollection resourceslices with nodeName field selector"},
		{"deletecollection resourceslices", slicesPath + "?fieldSelector=spec.nodeName%3Dother", "", 403, "can only list/watch/deletecollection resourceslices with nodeName field selector"},
		{"deletecollection resourceslices", slicesPath + "?fieldSelector=spec.nodeName%3Dx", "", 200, ""},
		{"create events", "/api/v1/namespaces/t/events", `{"metadata":{"name":"e"},"involvedObject":{"namespace":"t"}}`, 201, ""},
		{"patch events", "/api/v1/namespaces/t/events/e", `{"message":"m"}`, 200, ""},
		{"create tokenreviews", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{"token":"x"}}`, 201, ""},
		{"create subjectaccessreviews", "/apis/authorization.k8s.io/v1/subjectaccessreviews", `{"spec":{"user":"u","nonResourceAttributes":{"path":"/","verb":"get"}}}`, 201, ""},
		{"create localsubjectaccessreviews", "/apis/authorization.k8s.io/v1/namespaces/t/localsubjectaccessreviews", `{"metadata":{"namespace":"t"},"spec":{"user":"u","resourceAttributes":{"namespace":"t","verb":"get"}}}`, 201, ""},
		{"create volumeattachments", "/apis/storage.k8s.io/v1/volumeattachments", `{}`, 403, "can only get individual resources of this type"},
		{"create secrets", "/api/v1/namespaces/t/secrets", `{}`, 403, "can only read resources of this type"},
		{"create configmaps", "/api/v1/namespaces/t/configmaps", `{}`, 403, "can only read resources of this type"},
		{"create serviceaccounts", "/api/v1/namespaces/t/serviceaccounts", `{}`, 403, "can only create tokens for individual service accounts"},
		{"patch resourceclaims/status", claimPath + "/status", `{}`, 403, "can only get individual resources of this type"},
	}
}

func slice(name, where string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"driver":"d.example.com","pool":{"name":%q,"generation":1,"resourceSliceCount":1},%s,"devices":[{"name":"a"}]}}`, name, name, where)
}
