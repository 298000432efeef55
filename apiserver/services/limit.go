package services

import (
	"fmt"
	"io"
	"net/http"
)

// webhookAnswer bounds a webhook's answer in bytes. One answer may be a list of all
// custom objects of a kind, converted.
const webhookAnswer = 256 << 20

// Limit returns a wrapper of transports whose responses fail to be read beyond most
// bytes. Clients read an answer into memory before they look at it, so without a
// limit another server decides how much of it they take.
func Limit(most int64) func(http.RoundTripper) http.RoundTripper {
	return func(inner http.RoundTripper) http.RoundTripper { return limit{inner, most} }
}

type limit struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (l limit) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		response.Body = &limited{response.Body, l.most, l.most}
	}
	return response, err
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (l limit) WrappedRoundTripper() http.RoundTripper { return l.RoundTripper }

type limited struct {
	io.ReadCloser
	left, most int64
}

// Read implements io.Reader. An answer of exactly most bytes is whole.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b[:min(int64(len(b)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", l.most)
	}
	return n, err
}
