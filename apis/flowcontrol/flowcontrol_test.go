package flowcontrol

import (
	"strings"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"
)

func expect(t *testing.T, name string, errs field.ErrorList, want string) {
	t.Helper()
	if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)) {
		t.Errorf("%s: got %v, want %q", name, errs, want)
	}
}

func TestBootstrapIsValid(t *testing.T) {
	for _, list := range [][]*flowcontrolv1.FlowSchema{bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas} {
		for _, fs := range list {
			expect(t, fs.Name, ValidateFlowSchema(fs), "")
		}
	}
	for _, list := range [][]*flowcontrolv1.PriorityLevelConfiguration{bootstrap.MandatoryPriorityLevelConfigurations, bootstrap.SuggestedPriorityLevelConfigurations} {
		for _, pl := range list {
			pl := pl.DeepCopy()
			SetDefaultsPriorityLevelConfiguration(pl)
			expect(t, pl.Name, ValidatePriorityLevelConfiguration(pl), "")
		}
	}
}

func TestFlowSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*flowcontrolv1.FlowSchema)
		want   string
	}{
		"valid":      {func(*flowcontrolv1.FlowSchema) {}, ""},
		"precedence": {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.MatchingPrecedence = 1 }, "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt'"},
		"too high":   {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.MatchingPrecedence = 10001 }, "spec.matchingPrecedence: Invalid value: 10001"},
		"no level":   {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.PriorityLevelConfiguration.Name = "" }, "spec.priorityLevelConfiguration.name: Required value"},
		"two subjects": {func(fs *flowcontrolv1.FlowSchema) {
			fs.Spec.Rules[0].Subjects[0].Group = &flowcontrolv1.GroupSubject{Name: "x"}
		}, "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'"},
		"verb":      {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.Rules[0].ResourceRules[0].Verbs = []string{"eat"} }, "spec.rules[0].resourceRules[0].verbs: Unsupported value"},
		"namespace": {func(fs *flowcontrolv1.FlowSchema) { fs.Spec.Rules[0].ResourceRules[0].Namespaces = nil }, "spec.rules[0].resourceRules[0].namespaces: Required value"},
		"mandatory": {func(fs *flowcontrolv1.FlowSchema) { fs.Name = "catch-all" }, "spec: Invalid value"},
	} {
		fs := &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "l"},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:      []flowcontrolv1.Subject{{Kind: "User", User: &flowcontrolv1.UserSubject{Name: "*"}}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, Namespaces: []string{"*"}}},
			}},
		}}
		SetDefaultsFlowSchema(fs)
		c.change(fs)
		expect(t, name, ValidateFlowSchema(fs), c.want)
	}
}

func TestPriorityLevels(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*flowcontrolv1.PriorityLevelConfiguration)
		want   string
	}{
		"valid": {func(*flowcontrolv1.PriorityLevelConfiguration) {}, ""},
		"shares": {func(pl *flowcontrolv1.PriorityLevelConfiguration) {
			pl.Spec.Limited.NominalConcurrencyShares = ptr.To[int32](-1)
		}, "spec.limited.nominalConcurrencyShares: Invalid value: -1"},
		"hand": {func(pl *flowcontrolv1.PriorityLevelConfiguration) {
			pl.Spec.Limited.LimitResponse.Queuing.HandSize = 65
		}, "spec.limited.limitResponse.queuing.handSize: Invalid value: 65: should not be greater than queues (64)"},
		"bits": {func(pl *flowcontrolv1.PriorityLevelConfiguration) {
			pl.Spec.Limited.LimitResponse.Queuing.Queues = 10_000_000
		}, "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits"},
		"reject": {func(pl *flowcontrolv1.PriorityLevelConfiguration) { pl.Spec.Limited.LimitResponse.Type = "Reject" }, "spec.limited.limitResponse.queuing: Forbidden"},
		"none":   {func(pl *flowcontrolv1.PriorityLevelConfiguration) { pl.Spec.Limited = nil }, "spec.limited: Required value"},
	} {
		pl := &flowcontrolv1.PriorityLevelConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type:    "Limited",
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{LimitResponse: flowcontrolv1.LimitResponse{Type: "Queue", Queuing: &flowcontrolv1.QueuingConfiguration{}}},
		}}
		SetDefaultsPriorityLevelConfiguration(pl)
		c.change(pl)
		expect(t, name, ValidatePriorityLevelConfiguration(pl), c.want)
	}
}

func TestNoPanic(t *testing.T) {
	s := runtime.NewScheme()
	if err := Install(s); err != nil {
		t.Fatal(err)
	}
	for seed := range int64(50) {
		f := randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 3).Funcs(func(*metav1.FieldsV1, randfill.Continue) {})
		var fs flowcontrolv1.FlowSchema
		var pl flowcontrolv1.PriorityLevelConfiguration
		f.Fill(&fs)
		f.Fill(&pl)
		for range 2 {
			ValidateFlowSchema(&fs)
			ValidatePriorityLevelConfiguration(&pl)
			s.Default(&fs)
			s.Default(&pl)
		}
	}
}
