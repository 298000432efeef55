// Package all lists every resource that Coracle serves.
//
// The API of this package is not stable: see docs/api.md.
package all

import (
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/mutatingadmissionpolicy"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/mutatingadmissionpolicybinding"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/mutatingwebhookconfiguration"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/validatingadmissionpolicy"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/validatingadmissionpolicybinding"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/validatingwebhookconfiguration"
	"github.com/coracle-k8s/coracle/apiserver/registry/apiextensions/customresourcedefinition"
	"github.com/coracle-k8s/coracle/apiserver/registry/apiregistration/apiservice"
	"github.com/coracle-k8s/coracle/apiserver/registry/apiserverinternal/storageversion"
	"github.com/coracle-k8s/coracle/apiserver/registry/apps/controllerrevision"
	"github.com/coracle-k8s/coracle/apiserver/registry/apps/daemonset"
	"github.com/coracle-k8s/coracle/apiserver/registry/apps/deployment"
	"github.com/coracle-k8s/coracle/apiserver/registry/apps/replicaset"
	"github.com/coracle-k8s/coracle/apiserver/registry/apps/statefulset"
	"github.com/coracle-k8s/coracle/apiserver/registry/authentication/selfsubjectreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/authentication/tokenreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/localsubjectaccessreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/selfsubjectaccessreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/selfsubjectrulesreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/subjectaccessreview"
	"github.com/coracle-k8s/coracle/apiserver/registry/autoscaling/horizontalpodautoscaler"
	"github.com/coracle-k8s/coracle/apiserver/registry/batch/cronjob"
	"github.com/coracle-k8s/coracle/apiserver/registry/batch/job"
	"github.com/coracle-k8s/coracle/apiserver/registry/certificates/certificatesigningrequest"
	"github.com/coracle-k8s/coracle/apiserver/registry/certificates/clustertrustbundle"
	"github.com/coracle-k8s/coracle/apiserver/registry/certificates/podcertificaterequest"
	"github.com/coracle-k8s/coracle/apiserver/registry/coordination/lease"
	"github.com/coracle-k8s/coracle/apiserver/registry/coordination/leasecandidate"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/binding"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/componentstatus"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/configmap"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/endpoints"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/event"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/limitrange"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/namespace"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/node"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/persistentvolume"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/persistentvolumeclaim"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/pod"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/podtemplate"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/replicationcontroller"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/resourcequota"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/secret"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/service"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/serviceaccount"
	"github.com/coracle-k8s/coracle/apiserver/registry/discovery/endpointslice"
	newevent "github.com/coracle-k8s/coracle/apiserver/registry/events/event"
	"github.com/coracle-k8s/coracle/apiserver/registry/flowcontrol/flowschema"
	"github.com/coracle-k8s/coracle/apiserver/registry/flowcontrol/prioritylevelconfiguration"
	"github.com/coracle-k8s/coracle/apiserver/registry/networking/ingress"
	"github.com/coracle-k8s/coracle/apiserver/registry/networking/ingressclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/networking/ipaddress"
	"github.com/coracle-k8s/coracle/apiserver/registry/networking/networkpolicy"
	"github.com/coracle-k8s/coracle/apiserver/registry/networking/servicecidr"
	"github.com/coracle-k8s/coracle/apiserver/registry/node/runtimeclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/policy/poddisruptionbudget"
	"github.com/coracle-k8s/coracle/apiserver/registry/rbac/clusterrole"
	"github.com/coracle-k8s/coracle/apiserver/registry/rbac/clusterrolebinding"
	"github.com/coracle-k8s/coracle/apiserver/registry/rbac/role"
	"github.com/coracle-k8s/coracle/apiserver/registry/rbac/rolebinding"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/deviceclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/devicetaintrule"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/resourceclaim"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/resourceclaimtemplate"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/resourcepoolstatusrequest"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/resourceslice"
	"github.com/coracle-k8s/coracle/apiserver/registry/scheduling/priorityclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/csidriver"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/csinode"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/csistoragecapacity"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/storageclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/volumeattachment"
	"github.com/coracle-k8s/coracle/apiserver/registry/storage/volumeattributesclass"
	"github.com/coracle-k8s/coracle/apiserver/registry/storagemigration/storageversionmigration"
)

// kinds lists every resource in the version that is stored, in the order in which
// discovery shows them; other versions are in Others.
func kinds() []*registry.Resource {
	return []*registry.Resource{
		binding.New(),
		componentstatus.New(),
		configmap.New(),
		endpoints.New(),
		event.New(),
		limitrange.New(),
		namespace.New(),
		node.New(),
		persistentvolumeclaim.New(),
		persistentvolume.New(),
		pod.New(),
		podtemplate.New(),
		replicationcontroller.New(),
		resourcequota.New(),
		secret.New(),
		serviceaccount.New(),
		service.New(),

		newevent.New(),

		controllerrevision.New(),
		daemonset.New(),
		deployment.New(),
		replicaset.New(),
		statefulset.New(),

		selfsubjectreview.New(),
		tokenreview.New(),

		localsubjectaccessreview.New(),
		selfsubjectaccessreview.New(),
		selfsubjectrulesreview.New(),
		subjectaccessreview.New(),

		horizontalpodautoscaler.New(),

		cronjob.New(),
		job.New(),

		ingressclass.New(),
		ingress.New(),
		ipaddress.New(),
		networkpolicy.New(),
		servicecidr.New(),

		poddisruptionbudget.New(),

		clusterrolebinding.New(),
		clusterrole.New(),
		rolebinding.New(),
		role.New(),

		csidriver.New(),
		csinode.New(),
		csistoragecapacity.New(),
		storageclass.New(),
		volumeattachment.New(),
		volumeattributesclass.New(),

		priorityclass.New(),

		runtimeclass.New(),

		customresourcedefinition.New(),
		apiservice.New(),
		lease.New(),
		leasecandidate.New(),

		endpointslice.New(),

		mutatingadmissionpolicy.New(),
		mutatingadmissionpolicybinding.New(),
		mutatingwebhookconfiguration.New(),
		validatingadmissionpolicy.New(),
		validatingadmissionpolicybinding.New(),
		validatingwebhookconfiguration.New(),

		certificatesigningrequest.New(),
		clustertrustbundle.New(),
		podcertificaterequest.New(),

		flowschema.New(),
		prioritylevelconfiguration.New(),

		deviceclass.New(),
		devicetaintrule.New(),
		resourceclaim.New(),
		resourceclaimtemplate.New(),
		resourcepoolstatusrequest.New(),
		resourceslice.New(),

		storageversion.New(),

		storageversionmigration.New(),
	}
}
