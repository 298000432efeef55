package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	jose "gopkg.in/go-jose/go-jose.v2"
)

// NewKeyPEM makes an ECDSA P-256 signing key, for the caller to keep.
func NewKeyPEM() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a token signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a token signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKeyPEM reads an ECDSA (P-256, P-384, P-521) or RSA private key in
// PKCS#8, SEC 1 or PKCS#1.
func ParseKeyPEM(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("parsing the token signing key: %w", err)
			}
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		case "EC PRIVATE KEY":
			return wrap(x509.ParseECPrivateKey(block.Bytes))
		case "RSA PRIVATE KEY":
			return wrap(x509.ParsePKCS1PrivateKey(block.Bytes))
		}
	}
	return nil, errors.New("parsing the token signing key: no private key in PEM")
}

func wrap[K crypto.Signer](key K, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, fmt.Errorf("parsing the token signing key: %w", err)
	}
	return key, nil
}

// ParsePublicKeysPEM reads all public keys (or the public halves of private
// ones) in data: further keys whose tokens are still good.
func ParsePublicKeysPEM(data []byte) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "PUBLIC KEY" {
			key, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("parsing a token public key: %w", err)
			}
			keys = append(keys, key)
			continue
		}
		signer, err := ParseKeyPEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, err
		}
		keys = append(keys, signer.Public())
	}
	if len(keys) == 0 {
		return nil, errors.New("parsing token public keys: no key in PEM")
	}
	return keys, nil
}

// KeyID names a public key as upstream does: the SHA-256 of its PKIX form.
func KeyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("naming a token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func algorithm(key crypto.PublicKey) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return jose.RS256, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	}
	return "", fmt.Errorf("choosing a token signing algorithm: %T is not supported", key)
}

// publicJWK returns key as it stands in the JWKS document.
func publicJWK(key crypto.PublicKey) (jose.JSONWebKey, error) {
	alg, err := algorithm(key)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	id, err := KeyID(key)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(alg), Use: "sig"}, nil
}
