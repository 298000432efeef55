package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// sealer returns the cipher for a token. The token is random and as long as a key,
// so that no slow derivation is needed.
func sealer(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "coracle server keys", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func seal(files map[string][]byte, token string) ([]byte, error) {
	text, err := json.Marshal(files)
	if err != nil {
		return nil, fmt.Errorf("encoding keys: %w", err)
	}
	aead, err := sealer(token)
	if err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	return aead.Seal(nil, nil, text, nil), nil //nolint:gosec // NewGCMWithRandomNonce draws the nonce
}

// unseal fails unless the token is the one that they were sealed with.
func unseal(sealed []byte, token string) (map[string][]byte, error) {
	aead, err := sealer(token)
	if err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	text, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	var files map[string][]byte
	if err := json.Unmarshal(text, &files); err != nil {
		return nil, fmt.Errorf("decoding keys: %w", err)
	}
	return files, nil
}
