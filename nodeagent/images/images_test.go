package images

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/distribution/reference"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// `coracle image load --data-dir data` waited ten minutes for a host called data.
func TestDialTakesRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	socket, err := net.Listen("unix", "containerd.sock")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	served := make(chan error)
	go func() { served <- server.Serve(socket) }()
	defer func() { server.Stop(); <-served }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, path := range []string{"containerd.sock", "./containerd.sock", "unix://" + socket.Addr().String()} {
		conn, err := dial(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = runtimeapi.NewImageServiceClient(conn).ListImages(ctx, &runtimeapi.ListImagesRequest{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", path, err)
		}
		conn.Close()
	}
}

func TestRemovals(t *testing.T) {
	g := NewWithT(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	candidates := []Candidate{
		{ID: "used", Size: 50, LastUsed: ago(9 * time.Hour), InUse: true},
		{ID: "pinned", Size: 50, LastUsed: ago(9 * time.Hour), Pinned: true},
		{ID: "newer", Size: 50, LastUsed: ago(time.Hour)},
		{ID: "oldest", Size: 40, LastUsed: ago(3 * time.Hour)},
		{ID: "fresh", Size: 50, LastUsed: ago(time.Minute)},
	}
	ids := func(u Usage) []string {
		out := []string{}
		for _, c := range Removals(u, 85, 80, 2*time.Minute, candidates, now) {
			out = append(out, c.ID)
		}
		return out
	}
	g.Expect(ids(Usage{Capacity: 1000, Available: 200})).To(BeEmpty(), "below the threshold")
	g.Expect(ids(Usage{Capacity: 1000, Available: 150})).To(Equal([]string{"oldest", "newer"}))
	g.Expect(ids(Usage{Capacity: 100, Available: 10})).To(Equal([]string{"oldest"}))
}

func TestSecretsFit(t *testing.T) {
	g := NewWithT(t)
	for _, tc := range []struct {
		registry, image string
		want            bool
	}{
		{"https://index.docker.io/v1/", "hello", true},
		{"docker.io", "library/hello", true},
		{"registry.example.com", "registry.example.com/a/b:1", true},
		{"registry.example.com/a", "registry.example.com/a/b:1", true},
		{"registry.example.com/a", "registry.example.com/ab:1", false},
		{"*.example.com", "registry.example.com/a", true},
		{"*.example.com", "example.com/a", false},
		{"other.example.com", "registry.example.com/a", false},
	} {
		ref, err := reference.ParseDockerRef(tc.image)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(fits(tc.registry, ref)).To(Equal(tc.want), "%s for %s", tc.registry, tc.image)
	}
}

func TestEntryDecodesAuth(t *testing.T) {
	g := NewWithT(t)
	auth := entry{Auth: "bWU6c2VjcmV0"}.config("r")
	g.Expect(auth.Username).To(Equal("me"))
	g.Expect(auth.Password).To(Equal("secret"))
}
