package credentials

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
)

// newKey returns a key of the type as PEM and a PKCS#10 request that proves its
// possession and asks for nothing.
func newKey(keyType string) (keyPEM, stub []byte, err error) {
	key, err := generate(keyType)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a %s key: %w", keyType, err)
	}
	if stub, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key); err != nil {
		return nil, nil, fmt.Errorf("generating a stub PKCS#10 request: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), stub, nil
}

func generate(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "RSA3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "RSA4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ECDSAP256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECDSAP384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ECDSAP521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ED25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown key type %q", keyType)
}

// blocks calls fn with the bytes of each PEM block.
func blocks(text string, fn func(der []byte)) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return
		}
		fn(block.Bytes)
	}
}

func encode(to, der []byte) []byte {
	return append(to, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// normalize leaves out what stands between a chain's certificates.
func normalize(chain string) []byte {
	out := []byte{}
	blocks(chain, func(der []byte) { out = encode(out, der) })
	return out
}

// merge returns each certificate of the bundles once, in an order that depends
// on nothing else.
func merge(bundles []string) []byte {
	anchors := map[string]bool{}
	for _, b := range bundles {
		blocks(b, func(der []byte) { anchors[string(der)] = true })
	}
	out := []byte{}
	for _, der := range slices.Sorted(maps.Keys(anchors)) {
		out = encode(out, []byte(der))
	}
	return out
}
