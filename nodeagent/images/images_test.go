package images

import (
	"testing"
	"time"

	"github.com/distribution/reference"
	. "github.com/onsi/gomega"
)

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
