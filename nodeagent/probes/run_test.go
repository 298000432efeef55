package probes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/clock"
)

// script runs a probe whose results are given (exit codes; -1 is an error) and
// returns what was reported, with times.
func script(t *testing.T, kind Kind, probe *corev1.Probe, codes ...int32) []string {
	var out []string
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began, i := time.Now(), 0
		prober := &Prober{Exec: func(context.Context, string, []string, time.Duration) (string, int32, error) {
			code := codes[i]
			if i++; i == len(codes) {
				cancel()
			}
			if code < 0 {
				return "", 0, errors.New("broken")
			}
			return "", code, nil
		}}
		probe.Exec = &corev1.ExecAction{}
		run := Run{Prober: prober, Clock: clock.RealClock{}, Kind: kind, Probe: probe, Started: began,
			Target: Target{Container: &corev1.Container{Name: "c"}},
			Report: func(result Result, _ string, verdict *bool) {
				if verdict != nil {
					out = append(out, fmt.Sprintf("%s %t", time.Since(began), *verdict))
				}
			}}
		run.Do(ctx)
	})
	return out
}

func TestThresholds(t *testing.T) {
	g := NewWithT(t)
	g.Expect(script(t, Liveness, &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3}, 0, 1, 1, 0, 1, 1, 1, 0, 9)).
		To(Equal([]string{"0s true", "1m0s false", "1m10s true"}))
	g.Expect(script(t, Readiness, &corev1.Probe{PeriodSeconds: 5, InitialDelaySeconds: 2, SuccessThreshold: 2}, 1, 0, 0, -1, 1, 9)).
		To(Equal([]string{"2s false", "12s true", "22s false"}))
	g.Expect(script(t, Startup, &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 5}, 1, 1, 0, 9)).To(Equal([]string{"2s true"}))
}

func TestHTTP(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, r.UserAgent()+" "+r.Host+" "+r.Header.Get("X"))
		case "/away":
			http.Redirect(w, r, "http://elsewhere.example.com/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	g.Expect(err).NotTo(HaveOccurred())
	p := &Prober{Dial: (&net.Dialer{}).DialContext, UserAgent: "kube-probe/1.37"}
	probe := func(path string, headers ...corev1.HTTPHeader) (Result, string) {
		return p.Probe(t.Context(), Target{Container: &corev1.Container{}, IP: host}, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port), HTTPHeaders: headers}}})
	}
	result, message := probe("/ok", corev1.HTTPHeader{Name: "Host", Value: "a.example.com"}, corev1.HTTPHeader{Name: "X", Value: "y"})
	g.Expect(result).To(Equal(Success))
	g.Expect(message).To(Equal("kube-probe/1.37 a.example.com y"))
	result, message = probe("/bad")
	g.Expect(result).To(Equal(Failure))
	g.Expect(message).To(Equal("HTTP probe failed with statuscode: 503"))
	result, _ = probe("/away")
	g.Expect(result).To(Equal(Warning))
}
