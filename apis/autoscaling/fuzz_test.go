package autoscaling_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/autoscaling"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(autoscaling.ValidateHorizontalPodAutoscaler, autoscaling.ValidateHorizontalPodAutoscalerUpdate, autoscaling.ValidateHorizontalPodAutoscalerStatusUpdate),
	)
}
