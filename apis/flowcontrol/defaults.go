package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func addDefaults(s *runtime.Scheme) {
	s.AddTypeDefaultingFunc(&flowcontrolv1.FlowSchema{}, func(obj any) { SetDefaultsFlowSchema(obj.(*flowcontrolv1.FlowSchema)) })
	s.AddTypeDefaultingFunc(&flowcontrolv1.FlowSchemaList{}, func(obj any) {
		for i := range obj.(*flowcontrolv1.FlowSchemaList).Items {
			SetDefaultsFlowSchema(&obj.(*flowcontrolv1.FlowSchemaList).Items[i])
		}
	})
	s.AddTypeDefaultingFunc(&flowcontrolv1.PriorityLevelConfiguration{}, func(obj any) {
		SetDefaultsPriorityLevelConfiguration(obj.(*flowcontrolv1.PriorityLevelConfiguration))
	})
	s.AddTypeDefaultingFunc(&flowcontrolv1.PriorityLevelConfigurationList{}, func(obj any) {
		for i := range obj.(*flowcontrolv1.PriorityLevelConfigurationList).Items {
			SetDefaultsPriorityLevelConfiguration(&obj.(*flowcontrolv1.PriorityLevelConfigurationList).Items[i])
		}
	})
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

func orElseValue(n *int32, value int32) {
	if *n == 0 {
		*n = value
	}
}

// SetDefaultsFlowSchema fills what the API documents as defaults.
func SetDefaultsFlowSchema(fs *flowcontrolv1.FlowSchema) {
	orElseValue(&fs.Spec.MatchingPrecedence, 1000)
}

// SetDefaultsPriorityLevelConfiguration fills what the API documents as defaults.
func SetDefaultsPriorityLevelConfiguration(pl *flowcontrolv1.PriorityLevelConfiguration) {
	if e := pl.Spec.Exempt; e != nil {
		orElse(&e.NominalConcurrencyShares, 0)
		orElse(&e.LendablePercent, 0)
	}
	if l := pl.Spec.Limited; l != nil {
		orElse(&l.NominalConcurrencyShares, 30)
		orElse(&l.LendablePercent, 0)
		if q := l.LimitResponse.Queuing; q != nil {
			orElseValue(&q.HandSize, 8)
			orElseValue(&q.Queues, 64)
			orElseValue(&q.QueueLengthLimit, 50)
		}
	}
}
