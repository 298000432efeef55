package allocation_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/coracle-k8s/coracle/nodeagent/allocation"
)

func TestRecord(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "pod")
	g.Expect(allocation.Load(dir)).To(Equal(allocation.Record{}), "none was written")

	want := func(cpu string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	}
	record := allocation.Record{
		Allocated: map[string]corev1.ResourceRequirements{"main": want("1"), "none": {}},
		Actuated:  map[string]corev1.ResourceRequirements{"abc": want("500m")},
	}
	g.Expect(record.Save(dir)).To(Succeed())
	g.Expect(record.Save(dir)).To(Succeed())
	read, err := allocation.Load(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(read.Allocated).To(HaveLen(2))
	main, actuated := read.Allocated["main"], read.Actuated["abc"]
	g.Expect(main.Requests.Cpu().String() + " " + actuated.Requests.Cpu().String()).To(Equal("1 500m"))

	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entries).To(HaveLen(1))
	g.Expect(os.WriteFile(filepath.Join(dir, entries[0].Name()), []byte(`{"alloc`), 0o600)).To(Succeed())
	_, err = allocation.Load(dir)
	g.Expect(err).To(MatchError(ContainSubstring("unexpected end of JSON input")))
	g.Expect(record.Save("/proc/none")).NotTo(Succeed())
}
