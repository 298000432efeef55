//go:build linux

package session

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const volumes = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: red, other: x}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: open sesame}
---
apiVersion: v1
kind: Pod
metadata:
  name: volumes
  labels: {team: crew}
  annotations: {note: "of interest"}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: a
    image: coracle.dev/sample:v1
    envFrom: [{secretRef: {name: keys}}]
    env:
    - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: SENTENCE, value: "$(COLOR) on $(NODE), $$(COLOR)"}
    resources: {limits: {cpu: "2", memory: 64Mi}}
    volumeMounts:
    - {name: config, mountPath: /config}
    - {name: config, mountPath: /one/color, subPath: color}
    - {name: secret, mountPath: /secret, readOnly: true}
    - {name: all, mountPath: /all}
    - {name: about, mountPath: /about}
    - {name: shared, mountPath: /shared}
    - {name: host, mountPath: /host}
  - name: b
    image: coracle.dev/sample:v1
    args: ["--port=8081"]
    volumeMounts:
    - {name: shared, mountPath: /same}
  volumes:
  - {name: config, configMap: {name: settings}}
  - {name: secret, secret: {secretName: keys, defaultMode: 0400}}
  - {name: shared, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: host, hostPath: {path: HOSTPATH, type: Directory}}
  - name: about
    downwardAPI:
      items:
      - {path: labels, fieldRef: {fieldPath: metadata.labels}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - {path: memory, resourceFieldRef: {containerName: a, resource: limits.memory, divisor: 1Mi}}
  - name: all
    projected:
      sources:
      - {configMap: {name: settings, items: [{key: color, path: deep/color}]}}
      - {secret: {name: keys}}
      - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
      - {serviceAccountToken: {path: token, audience: elsewhere, expirationSeconds: 600}}
`

const account = "/var/run/secrets/kubernetes.io/serviceaccount"

var _ = Describe("volumes and environment", Ordered, ContinueOnFailure, func() {
	var w *workspace
	var host string
	cat := func(path string) string { return w.do("exec", "volumes", "-c", "a", "--", "cat", path) }
	BeforeAll(func() {
		host = GinkgoT().TempDir()
		w = daily.workspace("volumes")
		w.apply(replace(volumes, "HOSTPATH", host))
		w.ready("volumes")
	})

	It("show ConfigMaps, Secrets and the pod itself", func() {
		Expect(cat("/config/color")).To(Equal("red"))
		Expect(cat("/one/color")).To(Equal("red"))
		Expect(cat("/secret/password")).To(Equal("open sesame"))
		Expect(cat("/all/deep/color") + cat("/all/password") + cat("/all/name")).To(Equal("redopen sesamevolumes"))
		Expect(cat("/all/token")).To(MatchRegexp(`^\S+\.\S+\.\S+$`))
		Expect(cat("/about/labels")).To(Equal(`team="crew"`))
		Expect(cat("/about/annotations")).To(ContainSubstring(`note="of interest"`))
		Expect(cat("/about/memory")).To(Equal("64"))
	})

	It("fill the environment", func() {
		node := w.pod("volumes").Spec.NodeName
		Expect(w.do("exec", "volumes", "-c", "a", "--", "env")).To(SatisfyAll(
			ContainSubstring("password=open sesame\n"), ContainSubstring("CPUS=2\n"), ContainSubstring("NODE="+node+"\n"),
			ContainSubstring("SENTENCE=red on "+node+", $(COLOR)\n")))
	})

	It("follow changes of their sources, without the pod's restart", func() {
		w.do("patch", "configmap", "settings", "-p", `{"data":{"color":"blue","new":"here"}}`)
		w.do("label", "pod", "volumes", "team=deck", "--overwrite")
		w.do("patch", "secret", "keys", "-p", `{"stringData":{"password":"closed"}}`)
		Eventually(func() string { return cat("/config/color") }, 10).Should(Equal("blue"))
		Eventually(func() string { return cat("/all/deep/color") }, 10).Should(Equal("blue"))
		Eventually(func() string { return cat("/secret/password") }, 10).Should(Equal("closed"))
		Eventually(func() string { return cat("/about/labels") }, 10).Should(Equal(`team="deck"`))
		Expect(cat("/config/new")).To(Equal("here"))
		Expect(cat("/one/color")).To(Equal("red"), "a subPath stays as it was")
		Expect(w.pod("volumes").Status.ContainerStatuses).To(HaveEach(HaveField("RestartCount", BeZero())))
	})

	It("are shared by containers, and with the host", func() {
		w.do("exec", "volumes", "-c", "a", "--", "write", "/shared/note", "from a")
		Expect(w.do("exec", "volumes", "-c", "b", "--", "cat", "/same/note")).To(Equal("from a\n"))
		w.do("exec", "volumes", "-c", "a", "--", "write", "/host/note", "from a pod")
		Expect(os.ReadFile(filepath.Join(host, "note"))).To(BeEquivalentTo("from a pod\n"))
		out, err := w.try("", "-n", w.ns, "exec", "volumes", "-c", "a", "--", "write", "/secret/password", "mine")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("read-only file system"))
	})

	It("let the pod talk to the API as its service account", func() {
		ask := func(path string) (string, error) {
			return w.try("", "-n", w.ns, "exec", "volumes", "-c", "a", "--", "get", "--ca", account+"/ca.crt", "--token", account+"/token", "https://10.181.0.1"+path)
		}
		Expect(cat(account + "/namespace")).To(Equal(w.ns))
		path := "/api/v1/namespaces/" + w.ns + "/pods"
		out, err := ask(path)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring(`pods is forbidden: User \"system:serviceaccount:volumes:default\" cannot list resource \"pods\" in API group \"\" in the namespace \"volumes\"`))
		w.do("create", "rolebinding", "view", "--clusterrole=view", "--serviceaccount=volumes:default")
		Eventually(func() string { out, _ := ask(path); return out }).Should(ContainSubstring(`"kind":"PodList"`))
		out, _ = ask("/api/v1/namespaces/" + w.ns + "/secrets")
		Expect(out).To(ContainSubstring("secrets is forbidden"), "view does not show secrets")
	})

	It("hold a pod back until they can be made", func() {
		w.apply(`{apiVersion: v1, kind: Pod, metadata: {name: early}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "coracle.dev/sample:v1", volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: late}}]}}`)
		Eventually(func() string { return w.do("get", "events", "--field-selector", "involvedObject.name=early") }).Should(MatchRegexp(`FailedMount .*MountVolume.SetUp failed for volume "v" : configmap "late" not found`))
		Expect(w.do("get", "pod", "early")).To(ContainSubstring("ContainerCreating"))
		w.do("create", "configmap", "late", "--from-literal=a=b")
		w.ready("early")
		w.apply(`{apiVersion: v1, kind: Pod, metadata: {name: unset}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "coracle.dev/sample:v1", env: [{name: X, valueFrom: {secretKeyRef: {name: absent, key: x}}}]}]}}`)
		Expect(w.waiting("unset", "CreateContainerConfigError")).To(Equal(`secret "absent" not found`))
		w.do("create", "secret", "generic", "absent", "--from-literal=x=y")
		w.ready("unset")
	})
})
