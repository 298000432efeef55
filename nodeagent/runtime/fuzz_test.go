package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
)

// FuzzTerminationMessage reads what a container left behind: its message file, and
// its log if that is empty. Both are as large as the container likes.
func FuzzTerminationMessage(f *testing.F) {
	for _, text := range []string{
		"", "\n", "2026-01-01T00:00:00Z stdout F text\n", "2026-01-01T00:00:00Z stderr P part", "a b", "   \n   \n", "cut F text\n2026-01-01T00:00:00Z stdout F b\n", strings.Repeat("2026-01-01T00:00:00Z stdout F x\n", 300), strings.Repeat("x", 1<<14), "\xff\xfe\x00",
	} {
		f.Add([]byte(text), []byte(text), "")
		f.Add([]byte(nil), []byte(text), "OOM")
	}
	f.Fuzz(func(t *testing.T, message, log []byte, said string) {
		dir := t.TempDir()
		files := map[string][]byte{"message": message, "log": log}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := terminationMessage(&runtimeapi.ContainerStatus{
			ExitCode: 1, Message: said, LogPath: filepath.Join(dir, "log"), Annotations: map[string]string{
				podconfig.MessageHostPathAnnotation: filepath.Join(dir, "message"), podconfig.MessagePolicyAnnotation: string(corev1.TerminationMessageFallbackToLogsOnError),
			},
		})
		text := strings.TrimPrefix(strings.TrimPrefix(got, said), ": ")
		switch {
		case len(text) > maxMessageBytes || len(message) == 0 && len(text) > maxMessageLogBytes:
			t.Errorf("a message of %d bytes", len(text))
		case len(message) > 0 && !strings.HasSuffix(got, string(message[max(0, len(message)-maxMessageBytes):])):
			t.Errorf("%q is not the end of %q", got, message)
		}
	})
}

// FuzzContainer translates a runtime's status of a container.
func FuzzContainer(f *testing.F) {
	full := &runtimeapi.ContainerStatus{
		Id: "a", State: runtimeapi.ContainerState_CONTAINER_EXITED, Metadata: &runtimeapi.ContainerMetadata{Attempt: 2}, Image: &runtimeapi.ImageSpec{Image: "b"},
		User:        &runtimeapi.ContainerUser{Linux: &runtimeapi.LinuxContainerUser{Uid: 1}},
		Annotations: map[string]string{podconfig.ResourcesAnnotation: `{"limits":{"cpu":"1"}}`, podconfig.StopSignalAnnotation: "SIGTERM"},
	}
	for _, s := range []*runtimeapi.ContainerStatus{{}, full, {User: &runtimeapi.ContainerUser{}, Annotations: map[string]string{podconfig.ResourcesAnnotation: "{"}}, {CreatedAt: -1, StartedAt: 1 << 62, State: 99}} {
		data, err := proto.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s runtimeapi.ContainerStatus
		if proto.Unmarshal(data, &s) != nil {
			return
		}
		// Paths are those of the machine that the test runs on.
		delete(s.Annotations, podconfig.MessageHostPathAnnotation)
		s.LogPath = ""
		if c := Container(&s); c.ID != s.Id || c.Attempt != s.Metadata.GetAttempt() {
			t.Errorf("%v is translated to %+v", &s, c)
		}
	})
}
