package controllers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/cluster/jointoken"
	"github.com/coracle-k8s/coracle/test/env"
)

// join asks a server to make a machine at an address a node, through a proxy, and
// returns the status and the node's range, or why it is refused.
func join(t *testing.T, e *env.Env, token jointoken.Token, node, address string) (int, string) {
	t.Helper()
	g := NewWithT(t)
	request := map[string]string{"node": node, "address": address}
	for _, field := range []string{"clientCSR", "serverCSR"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		g.Expect(err).NotTo(HaveOccurred())
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		g.Expect(err).NotTo(HaveOccurred())
		request[field] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	body, err := json.Marshal(request)
	g.Expect(err).NotTo(HaveOccurred())
	config := rest.AnonymousClientConfig(e.TLSConfig(t))
	config.BearerToken = token.String()
	client, err := rest.HTTPClientFor(config)
	g.Expect(err).NotTo(HaveOccurred())
	defer client.CloseIdleConnections()
	response, err := client.Post(e.Cluster.URL()+"/coracle/v1/join", "application/json", bytes.NewReader(body))
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	answer := struct{ NodePodCIDR string }{}
	if json.Unmarshal(text, &answer) != nil {
		return response.StatusCode, string(text)
	}
	return response.StatusCode, answer.NodePodCIDR
}

// agentsJoinAnyServer checks that a token of one server is good at the other, that of
// agents which ask both for one name at once one gets it, and that no two get one range.
func agentsJoinAnyServer(t *testing.T, a, b *env.Env) {
	t.Helper()
	g := NewWithT(t)
	core, err := coreclient.NewForConfig(a.Config)
	g.Expect(err).NotTo(HaveOccurred())
	token, err := jointoken.Create(t.Context(), core, time.Hour, "", time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() int {
		code, _ := join(t, b, token, "first", "10.0.0.9")
		return code
	}).Should(Equal(http.StatusOK), "the token at the other server")

	ranges := sync.Map{}
	for round := range 5 {
		var ended sync.WaitGroup
		codes := [4]int{}
		for i, e := range []*env.Env{a, b, a, b} {
			ended.Go(func() {
				name := fmt.Sprintf("node-%d", round)
				if i >= 2 {
					name = fmt.Sprintf("node-%d-%d", round, i)
				}
				code, text := join(t, e, token, name, fmt.Sprintf("10.0.1.%d", 10*round+i))
				if codes[i] = code; code == http.StatusOK {
					if _, taken := ranges.LoadOrStore(text, name); taken {
						t.Errorf("range %s was given twice", text)
					}
				}
			})
		}
		ended.Wait()
		g.Expect(codes[:2]).To(ConsistOf(http.StatusOK, http.StatusConflict), "for one name")
		g.Expect(codes[2:]).To(Equal([]int{http.StatusOK, http.StatusOK}))
	}
	code, why := join(t, a, token, "impostor", "10.0.0.2")
	g.Expect(code).To(Equal(http.StatusBadRequest), why)
	g.Expect(why).To(ContainSubstring("is a server's"))
}
