package services

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"k8s.io/client-go/rest"
)

// endless answers everything with bytes without an end, and counts them.
type endless struct{ read int64 }

func (e *endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(e)}, nil
}

func (e *endless) Read(b []byte) (int, error) {
	e.read += int64(len(b))
	return len(b), nil
}

func TestAnswersAreReadUpToTheirLimitOnly(t *testing.T) {
	peer := &endless{}
	config := &rest.Config{Host: "https://webhook.example", Transport: peer}
	config.Wrap(Limit(1 << 20))
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get("https://webhook.example/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err = io.ReadAll(response.Body); err == nil || peer.read > 2<<20 {
		t.Errorf("read %d bytes of an answer without an end, %v", peer.read, err)
	}
}

// FuzzLimit reads answers in pieces of any size.
func FuzzLimit(f *testing.F) {
	f.Add([]byte("0123456789"), int64(10), 3)
	f.Add([]byte("0123456789"), int64(9), 1)
	f.Add([]byte(nil), int64(0), 1)
	f.Add([]byte("0"), int64(0), 100)
	f.Fuzz(func(t *testing.T, body []byte, most int64, piece int) {
		if most < 0 || piece <= 0 || piece > 1<<12 {
			return
		}
		in := &limited{io.NopCloser(bytes.NewReader(body)), most, most}
		var got []byte
		b, err := make([]byte, piece), error(nil)
		for err == nil {
			var n int
			n, err = in.Read(b)
			got = append(got, b[:n]...)
		}
		if whole := int64(len(body)) <= most; whole != errors.Is(err, io.EOF) || whole && !bytes.Equal(got, body) || int64(len(got)) > most {
			t.Errorf("read %d of %d bytes with a limit of %d, %v", len(got), len(body), most, err)
		}
	})
}
