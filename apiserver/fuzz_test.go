package apiserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apiserver"
)

// FuzzRequest sends requests to a whole server: paths, queries, bodies and headers.
// None is answered with an error of the server's own.
func FuzzRequest(f *testing.F) {
	config, err := configureIn(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	config.Settings.RequestTimeout.Duration = time.Second
	s, err := apiserver.Start(f.Context(), config)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Stop)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: config.Authority.Pool()}, ForceAttemptHTTP2: true}
	f.Cleanup(transport.CloseIdleConnections)
	klog.LogToStderr(false) // the libraries' lines about every request they refuse
	klog.SetOutput(io.Discard)
	const pods, maps, jsonType = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps", "application/json"
	for _, c := range [][5]string{
		{"GET", pods + "?limit=-1&continue=x", "", "", ""}, {"GET", pods + "?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vLi4vIn0", "", "", ""}, {"GET", pods + "?resourceVersion=x&resourceVersionMatch=Exact", "", "", ""},
		{"GET", pods + "?labelSelector=a+in+(,)&fieldSelector=spec.nodeName%3D,x", "", "", ""}, {"GET", pods + "?labelSelector=%21%21&fieldSelector=%5C", "", "", ""}, {"GET", pods + "?watch=1&timeoutSeconds=-1&sendInitialEvents=x", "", "", ""},
		{"GET", pods + "/x/log?tailLines=x&sinceTime=y", "", "", ""}, {"POST", pods + "/x/exec?command=&stdin=x", "", "", ""}, {"GET", pods + "/x/proxy/../..", "", "", ""}, {"GET", "/api/v1/namespaces/%2e%2e/pods/%00", "", "", ""}, {"DELETE", "/api/v1/namespaces/./pods", "", "", ""},
		{"GET", pods, "", "application/json;as=Table;g=meta.k8s.io;v=v1,*/*;q=x", ""}, {"GET", pods, "", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", ""}, {"GET", "/apis", "", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", ""},
		{"POST", maps, jsonType, "", `{"metadata":{"generateName":"a","managedFields":[{"fieldsV1":{"f:":1}}]},"data":{"a":1}}`}, {"POST", maps + "?dryRun=All&fieldValidation=Strict&fieldManager=%00", jsonType, "", `{"a":1}`}, {"POST", maps, "application/yaml", "", "a: &a [*a]"}, {"POST", maps, "application/cbor", "", "\xd9\xd9\xf7\xa0"},
		{"PATCH", maps + "/kube-root-ca.crt", "application/json-patch+json", "", `[{"op":"copy","from":"/metadata","path":"/metadata/x"},{"op":"remove","path":"/-1"}]`}, {"PATCH", maps + "/a", "application/strategic-merge-patch+json", "", `{"$patch":"delete","$retainKeys":[1],"$setElementOrder/x":[]}`},
		{"PATCH", maps + "/a?fieldManager=m&force=x", "application/apply-patch+yaml", "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: null}"}, {"PATCH", maps + "/a", "application/merge-patch+json", "", `[null]`}, {"PATCH", "/apis/apps/v1/namespaces/default/deployments/a/scale", "application/merge-patch+json", "", "{}"},
		{"DELETE", maps + "?propagationPolicy=x&gracePeriodSeconds=y", jsonType, "", `{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":""},"gracePeriodSeconds":-1}`}, {"DELETE", maps + "/a", jsonType, "", `[]`}, {"PUT", maps + "/a", jsonType, "", "null"},
		{"POST", "/api/v1/namespaces/default/serviceaccounts/default/token", jsonType, "", `{"spec":{"expirationSeconds":-1,"audiences":[""]}}`}, {"POST", pods + "/a/eviction", jsonType, "", `{"deleteOptions":null}`}, {"POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", jsonType, "", `{"spec":{"resourceAttributes":{"fieldSelector":{"rawSelector":"a=","requirements":[{}]}}}}`},
		{"GET", "/openapi/v3/apis/apps/v1?hash=x", "", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", ""}, {"GET", "/metrics?name[]=x", "", "", ""}, {"POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", jsonType, "", `{"metadata":{"name":"as.b.c"},"spec":{"group":"b.c","scope":"Cluster","names":{"plural":"as","kind":"A"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-validations":[{"rule":"self."}]}},"additionalPrinterColumns":[{"name":"x","type":"string","jsonPath":".a["}]}]}}`},
	} {
		f.Add(c[0], c[1], c[2], c[3], "", []byte(c[4]))
	}
	f.Add("GET", "/version", "", "", "a\x00", []byte(nil))
	f.Add("GET", "/version", "", "", "system:serviceaccount:", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, content, accept, impersonate string, body []byte) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || len(body) > 1<<16 || len(path) > 1<<12 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "https://"+config.Listeners[0].Addr().String()+path, strings.NewReader(string(body)))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer secret")
		for name, value := range map[string]string{"Content-Type": content, "Accept": accept, "Impersonate-User": impersonate} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			if strings.Contains(err.Error(), "invalid") || strings.Contains(err.Error(), "unsupported") {
				return // the client's own refusal
			}
			t.Fatalf("%s %q: %v", method, path, err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if response.StatusCode == http.StatusInternalServerError || response.StatusCode == http.StatusBadGateway {
			t.Errorf("%s %q, Content-Type %q, Accept %q, %q: %d %s, %v", method, path, content, accept, body, response.StatusCode, answer, err)
		}
	})
}
