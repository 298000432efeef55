package translations

import (
	"testing"

	"k8s.io/kubectl/pkg/util/i18n"
)

func TestWanted(t *testing.T) {
	if !Deferred {
		t.Error("kubectl's packages came first")
	}
	if got := i18n.T("untranslated"); got != "untranslated" {
		t.Errorf("got %q", got)
	}
	for want, calls := range map[bool][][]string{
		true:  {{"/usr/bin/kubectl", "get"}, {"coracle", "kubectl", "get", "pods"}},
		false: {{"coracle", "up"}, {"/opt/kubectl/coracle", "up"}, {}},
	} {
		for _, args := range calls {
			if wanted(args) != want {
				t.Errorf("%q: not %v", args, want)
			}
		}
	}
}
