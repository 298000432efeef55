package storageversionmigration

import (
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SetupWithManager wakes the reconciler for every migration.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).For(&storagemigrationv1.StorageVersionMigration{}).WithOptions(opts).Complete(r)
}
