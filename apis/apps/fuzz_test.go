package apps_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(apps.ValidateDeployment, apps.ValidateDeploymentUpdate, apps.ValidateDeploymentStatusUpdate),
		mangle.Of(apps.ValidateReplicaSet, apps.ValidateReplicaSetUpdate, apps.ValidateReplicaSetStatusUpdate),
		mangle.Of(apps.ValidateStatefulSet, apps.ValidateStatefulSetUpdate, apps.ValidateStatefulSetStatusUpdate),
		mangle.Of(apps.ValidateDaemonSet, apps.ValidateDaemonSetUpdate, apps.ValidateDaemonSetStatusUpdate),
		mangle.Of(apps.ValidateControllerRevision, apps.ValidateControllerRevisionUpdate),
	)
}
