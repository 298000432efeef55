package flowcontrol_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/flowcontrol"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(flowcontrol.ValidateFlowSchema, flowcontrol.ValidateFlowSchemaUpdate, flowcontrol.ValidateFlowSchemaStatusUpdate),
		mangle.Of(flowcontrol.ValidatePriorityLevelConfiguration, flowcontrol.ValidatePriorityLevelConfigurationUpdate, flowcontrol.ValidatePriorityLevelConfigurationStatusUpdate),
	)
}
