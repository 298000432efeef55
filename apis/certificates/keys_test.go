package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const podUID = "c5f5bc1b-aef0-4a4b-9c4f-0fb4e5d09b4a"

type keys struct {
	name   string
	signer crypto.Signer
}

func made[K crypto.Signer](t *testing.T, name string) func(K, error) keys {
	return func(k K, err error) keys {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return keys{name, k}
	}
}

func p(t *testing.T, name string, c elliptic.Curve) keys {
	t.Helper()
	return made[*ecdsa.PrivateKey](t, name)(ecdsa.GenerateKey(c, rand.Reader))
}

// some returns keys of every type that may be asked for, and two that may not.
func some(t *testing.T) []keys {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return []keys{
		made[ed25519.PrivateKey](t, "ed25519")(ed, err), p(t, "P256", elliptic.P256()), p(t, "P384", elliptic.P384()), p(t, "P521", elliptic.P521()),
		made[*rsa.PrivateKey](t, "RSA 3072")(rsa.GenerateKey(rand.Reader, 3072)),
		p(t, "P224", elliptic.P224()), made[*rsa.PrivateKey](t, "RSA 2048")(rsa.GenerateKey(rand.Reader, 2048)),
	}
}

func (k keys) proof(t *testing.T, message string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(message))
	var signature []byte
	var err error
	switch key := k.signer.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(message))
	case *ecdsa.PrivateKey:
		signature, err = ecdsa.SignASN1(rand.Reader, key, digest[:])
	case *rsa.PrivateKey:
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func (k keys) public(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (k keys) stub(t *testing.T) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func asking(stub, key, proof []byte) *certificatesv1beta1.PodCertificateRequest {
	return &certificatesv1beta1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}, Spec: certificatesv1beta1.PodCertificateRequestSpec{
		PodUID: podUID, StubPKCS10Request: stub, PKIXPublicKey: key, ProofOfPossession: proof}}
}

// TestKeys asks for certificates with keys of every type, in both forms.
func TestKeys(t *testing.T) {
	refused := map[string]string{"P224": `"curve P-224": elliptic public keys must use curve P256`, "RSA 2048": `"2048-bit modulus": RSA keys must have modulus size 3072 or 4096`}
	all := some(t)
	for i, k := range all {
		expectKey(t, k.name+" by request", asking(k.stub(t), nil, nil), refused[k.name])
		expectKey(t, k.name+" by itself", asking(nil, k.public(t), k.proof(t, podUID)), refused[k.name])
		if refused[k.name] != "" {
			continue
		}
		const unproven = "spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature"
		expectKey(t, k.name+", another pod", asking(nil, k.public(t), k.proof(t, "other")), unproven)
		expectKey(t, k.name+", another's proof", asking(nil, k.public(t), all[(i+1)%5].proof(t, podUID)), unproven)
	}
	const either = "spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
	k, long := all[0], make([]byte, maxKey+1)
	expectKey(t, "nothing", asking(nil, nil, nil), either)
	expectKey(t, "key alone", asking(nil, k.public(t), nil), either)
	expectKey(t, "proof alone", asking(nil, nil, k.proof(t, podUID)), either)
	expectKey(t, "both", asking(k.stub(t), k.public(t), k.proof(t, podUID)), either)
	expectKey(t, "no key", asking(nil, []byte("x"), []byte("y")), `spec.pkixPublicKey: Invalid value: "eA==": must be a valid PKIX-serialized public key`)
	expectKey(t, "long key", asking(nil, long, []byte("y")), "spec.pkixPublicKey: Too long: may not be more than 10240 bytes")
	expectKey(t, "long proof", asking(nil, k.public(t), long), "spec.proofOfPossession: Too long: may not be more than 10240 bytes")
}

func expectKey(t *testing.T, name string, r *certificatesv1beta1.PodCertificateRequest, want string) {
	t.Helper()
	errs := validateKey(r)
	if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), want)) {
		t.Errorf("%s: got %v, want %q", name, errs, want)
	}
}

// TestIssuedToTheKey compares the key of an issued certificate with the one asked for.
func TestIssuedToTheKey(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	mine := made[ed25519.PrivateKey](t, "mine")(key, err)
	theirs := p(t, "theirs", elliptic.P256())
	for name, r := range map[string]*certificatesv1beta1.PodCertificateRequest{
		"by request": asking(mine.stub(t), nil, nil), "by itself": asking(nil, mine.public(t), nil),
	} {
		for _, k := range []keys{mine, theirs} {
			now := time.Now().Truncate(time.Second)
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: now, NotAfter: now.Add(2 * time.Hour)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, k.signer.Public(), k.signer)
			if err != nil {
				t.Fatal(err)
			}
			issued := r.DeepCopy()
			issued.Status = certificatesv1beta1.PodCertificateRequestStatus{
				Conditions:       []metav1.Condition{{Type: certificatesv1beta1.PodCertificateRequestConditionTypeIssued, Status: metav1.ConditionTrue, Reason: "Issued", LastTransitionTime: metav1.NewTime(now)}},
				CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
				NotBefore:        ptr.To(metav1.NewTime(now)), BeginRefreshAt: ptr.To(metav1.NewTime(now.Add(time.Hour))), NotAfter: ptr.To(metav1.NewTime(now.Add(2 * time.Hour))),
			}
			errs := ValidatePodCertificateRequestStatusUpdate(issued, r, now)
			const fault = "leaf certificate was not issued to the requested public key"
			if text := errs.ToAggregate(); k.name == mine.name && text != nil || k.name == theirs.name && (text == nil || !strings.Contains(text.Error(), fault)) {
				t.Errorf("%s, issued to %s: %v", name, k.name, text)
			}
		}
	}
}

// TestNamesInMessages compares how messages quote names: a NodeName, a type of
// its own, as JSON, the others as Go does.
func TestNamesInMessages(t *testing.T) {
	r := asking(nil, nil, nil)
	r.Spec.NodeName, r.Spec.PodName = "a>b", "a>b"
	text := ValidatePodCertificateRequest(r).ToAggregate().Error()
	for _, want := range []string{`spec.nodeName: Invalid value: "a\u003eb": a lowercase`, `spec.podName: Invalid value: "a>b": a lowercase`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}
