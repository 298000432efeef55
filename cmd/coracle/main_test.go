package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// run runs a command line and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), oneLine(err)
}

func TestFlagsAreSetOverTheFile(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "c.yaml")
	g.Expect(os.WriteFile(file, []byte("listen: 127.0.0.1:1\nnodes: 3\nsimulatedNodes: 7\n"), 0o600)).To(Succeed())
	var f clusterFlags
	cmd := &cobra.Command{}
	f.add(cmd, true)
	g.Expect(cmd.ParseFlags([]string{"--config", file, "--nodes", "0", "--listen", "127.0.0.1:2"})).To(Succeed())
	config, err := f.config(cmd)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(*config.Nodes).To(BeZero())
	g.Expect(config.SimulatedNodes).To(BeEquivalentTo(7))
	g.Expect(config.Listen).To(Equal("127.0.0.1:2"))
	g.Expect(config.DataDir).To(Equal(v1alpha1.DefaultDataDir()))
}

func TestErrorsAreOneLineThatSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	unknown := filepath.Join(dir, "unknown.yaml")
	if err := os.WriteFile(unknown, []byte("network: {podCidr: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for want, args := range map[string][]string{
		`unknown command "bogus"`:                 {"bogus"},
		`unknown field "network.podCidr"`:         {"up", "--config", unknown, "--data-dir", data},
		"nodes: Invalid value: -1":                {"up", "--nodes", "-1", "--data-dir", data},
		"start it with coracle up":                {"status", "--data-dir", data},
		"no cluster runs in":                      {"image", "load", unknown, "--data-dir", data},
		"an agent needs --server and":             {"agent"},
		"make one with coracle token create":      {"agent", "--server", "https://127.0.0.1:1", "--token", "x"},
		"has not joined yet needs a token":        {"agent", "--server", "https://127.0.0.1:1", "--data-dir", data},
		"say what to do with tokens":              {"token"},
		"a join token must expire":                {"token", "create", "--ttl", "0", "--data-dir", data},
		"no cluster has run in":                   {"token", "list", "--data-dir", data},
		"that is no token and no ID of one":       {"token", "delete", "X", "--data-dir", data},
		"is not a data directory of coracle":      {"reset", "--data-dir", dir},
		"this machine does not have that address": {"up", "--nodes", "0", "--listen", "192.0.2.77:0", "--data-dir", data},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := run(t, args...)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(data); err == nil {
				t.Errorf("%s was made", data)
			}
		})
	}
}

func TestResetOfNothing(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "none")
	out, err := run(t, "reset", "--data-dir", dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(out).To(Equal("nothing is left of a cluster in " + dir + "\n"))
}

func TestStatusOfARunningCluster(t *testing.T) {
	g := NewWithT(t)
	none := int32(0)
	c, err := cluster.Start(t.Context(), &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: &none, SimulatedNodes: 2,
		Storage: v1alpha1.Storage{UnsafeNoFsync: true}})
	g.Expect(err).NotTo(HaveOccurred())
	defer c.Stop()
	g.Eventually(func() (string, error) { return run(t, "status", "--data-dir", c.Config().DataDir) }).Should(And(
		ContainSubstring(fmt.Sprintf("pid %d", os.Getpid())), ContainSubstring(c.URL()), ContainSubstring("2 of 2 ready"),
		ContainSubstring("none"), MatchRegexp(`namespaces +4`)))

	out, err := run(t, "status", "-o", "json", "--data-dir", c.Config().DataDir)
	g.Expect(err).NotTo(HaveOccurred())
	var report statusReport
	g.Expect(json.Unmarshal([]byte(out), &report)).To(Succeed())
	g.Expect(report.Server.NodesReady).To(Equal(2))
	g.Expect(len(report.Server.Controllers)).To(BeNumerically(">", 40))
	_, err = run(t, "status", "-o", "yaml", "--data-dir", c.Config().DataDir)
	g.Expect(err).To(MatchError(ContainSubstring("-o json")))

	_, err = run(t, "up", "--nodes", "0", "--listen", "127.0.0.1:0", "--data-dir", c.Config().DataDir)
	g.Expect(err).To(MatchError(ContainSubstring("in use by another coracle process")))
	_, err = run(t, "reset", "--data-dir", c.Config().DataDir)
	g.Expect(err).To(MatchError(ContainSubstring("--force")))
}

func TestOneLine(t *testing.T) {
	g := NewWithT(t)
	err := oneLine(oneLine(errors.Join(errors.New("a"), fmt.Errorf("writing: %w", syscall.ENOSPC))))
	g.Expect(err).To(MatchError("a; writing: no space left on device (the disk is full: free space, or choose another --data-dir)"))
	g.Expect(errors.Is(err, syscall.ENOSPC)).To(BeTrue())
	g.Expect(oneLine(exitCode(3))).To(Equal(exitCode(3)))
}

func TestStatusOfControllers(t *testing.T) {
	g := NewWithT(t)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	report := statusReport{PID: 7, DataDir: "/d", Server: &serverReport{URL: "https://a", Kubernetes: "v1", Status: cluster.Status{
		Duties: []cluster.Duty{{Name: "kube-controller-manager", Here: true, Identity: "me_1", Leader: "me_1"}, {Name: "kube-scheduler", Identity: "me_2", Leader: "you_2"}},
		Controllers: []cluster.Controller{
			{Name: "busy", Ready: 3, Delayed: 2, Busy: 1, Active: now.Add(-time.Minute),
				Error: &cluster.ControllerError{Time: now.Add(-time.Hour), Object: "default/web", Message: "no luck\nat all"}},
			{Name: "idle"},
		},
	}}}
	var out strings.Builder
	g.Expect(report.print(&out, now)).To(Succeed())
	g.Expect(out.String()).To(Equal(`running                  pid 7, data directory /d
server                   https://a, Kubernetes v1
nodes                    0 of 0 ready
pods                     none
namespaces               0
kube-controller-manager  leads as me_1
kube-scheduler           stands by for you_2

CONTROLLER  QUEUED  LATER  BUSY  ACTIVE   LAST ERROR
busy        3       2      1     60s      60m ago, default/web: no luck…
idle        0       0      0     <never>  
`))
}

func TestPodPhases(t *testing.T) {
	pod := func(phase corev1.PodPhase) corev1.Pod { return corev1.Pod{Status: corev1.PodStatus{Phase: phase}} }
	for want, pods := range map[string][]corev1.Pod{
		"none":                           nil,
		"2 Running, 1 Failed, 1 Pending": {pod("Pending"), pod("Running"), pod("Failed"), pod("Running")},
	} {
		if got := inWords(podPhases(pods)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNamesStopsAtTheCommandOfThePod(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"get", "pods", "--kubeconfig", "x"}, true},
		{[]string{"--kubeconfig=x", "get"}, true},
		{[]string{"exec", "pod", "--", "tool", "--kubeconfig", "x"}, false},
		{[]string{"get", "--kubeconfigs"}, false},
	} {
		if got := names(c.args, "--kubeconfig"); got != c.want {
			t.Errorf("%v: got %t", c.args, got)
		}
	}
}

// A token is made, listed as an agent is given it, and deleted by any of its names.
func TestTokens(t *testing.T) {
	g := NewWithT(t)
	none := int32(0)
	c, err := cluster.Start(t.Context(), &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: &none, Storage: v1alpha1.Storage{UnsafeNoFsync: true}})
	g.Expect(err).NotTo(HaveOccurred())
	defer c.Stop()
	token := func(args ...string) string {
		t.Helper()
		out, err := run(t, append(append([]string{"token"}, args...), "--data-dir", c.Config().DataDir)...)
		g.Expect(err).NotTo(HaveOccurred())
		return strings.TrimSpace(out)
	}
	one, two := token("create"), token("create", "--ttl", "90m", "--description", "for the lab")
	g.Expect(one).To(MatchRegexp(`^[0-9a-f]{64}\.[a-z0-9]{6}\.[a-z0-9]{16}$`))
	lines := strings.Split(token("list"), "\n")
	g.Expect(lines).To(HaveLen(3))
	g.Expect(lines[0]).To(MatchRegexp(`^TOKEN +TTL +EXPIRES +USAGES +DESCRIPTION +EXTRA GROUPS$`))
	g.Expect(lines[1]).To(MatchRegexp(`^%s +1h +20[-0-9]+T[:0-9]+Z +authentication +for the lab +system:bootstrappers:coracle:join$`, two))
	g.Expect(lines[2]).To(MatchRegexp(`^%s +23h .* authentication +<none> `, one))
	id := strings.Split(one, ".")[1]
	g.Expect(token("delete", id, two)).To(Equal("token " + id + " deleted\ntoken " + strings.Split(two, ".")[1] + " deleted"))
	g.Expect(strings.Split(token("list"), "\n")).To(HaveLen(1))
	_, err = run(t, "token", "delete", id, "--data-dir", c.Config().DataDir)
	g.Expect(err).To(MatchError(ContainSubstring("not found")))
}
