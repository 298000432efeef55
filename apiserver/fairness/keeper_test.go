package fairness

import (
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"

	"github.com/coracle-k8s/coracle/apis/flowcontrol"
)

func TestRevise(t *testing.T) {
	k := kind[*flowcontrolv1.FlowSchema]{with: withSchemaSpec}
	wanted := bootstrap.SuggestedFlowSchemas[0]
	for name, c := range map[string]struct {
		change    func(*flowcontrolv1.FlowSchema)
		mandatory bool
		changed   bool
		spec      bool // is the wanted one
		note      string
	}{
		"as it should be": {func(*flowcontrolv1.FlowSchema) {}, false, false, true, "true"},
		"old spec":        {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.MatchingPrecedence = 7 }, false, true, true, "true"},
		"the user's, by note": {func(fs *flowcontrolv1.FlowSchema) {
			fs.Spec.MatchingPrecedence, fs.Annotations = 7, map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "false"}
		}, false, false, false, "false"},
		"the user's, by change": {func(fs *flowcontrolv1.FlowSchema) {
			fs.Spec.MatchingPrecedence, fs.Annotations, fs.Generation = 7, nil, 2
		}, false, true, false, "false"},
		"mandatory, with a note": {func(fs *flowcontrolv1.FlowSchema) {
			fs.Spec.MatchingPrecedence, fs.Annotations = 7, map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "false"}
		}, true, true, true, "true"},
	} {
		current := wanted.DeepCopy()
		flowcontrol.SetDefaultsFlowSchema(current)
		current.Generation = 1
		c.change(current)
		before := current.DeepCopy()
		got, changed := k.revise(current, wanted, c.mandatory)
		if changed != c.changed || (got.Spec.MatchingPrecedence == wanted.Spec.MatchingPrecedence) != c.spec || got.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] != c.note {
			t.Errorf("%s: changed %v, %v, %v", name, changed, got.Spec.MatchingPrecedence, got.Annotations)
		}
		if before.Spec.MatchingPrecedence != current.Spec.MatchingPrecedence || len(before.Annotations) != len(current.Annotations) {
			t.Errorf("%s: what is stored changed", name)
		}
	}
}
