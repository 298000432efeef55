package controllers

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/cluster/leader"
	"github.com/coracle-k8s/coracle/controllers/attachdetach"
	"github.com/coracle-k8s/coracle/controllers/bootstrap"
	"github.com/coracle-k8s/coracle/controllers/certificates"
	"github.com/coracle-k8s/coracle/controllers/clusterauthentication"
	"github.com/coracle-k8s/coracle/controllers/clusterdns"
	"github.com/coracle-k8s/coracle/controllers/clusterroleaggregation"
	"github.com/coracle-k8s/coracle/controllers/clustertrustbundle"
	"github.com/coracle-k8s/coracle/controllers/cronjob"
	"github.com/coracle-k8s/coracle/controllers/daemonset"
	"github.com/coracle-k8s/coracle/controllers/deployment"
	"github.com/coracle-k8s/coracle/controllers/devicetainteviction"
	"github.com/coracle-k8s/coracle/controllers/disruption"
	"github.com/coracle-k8s/coracle/controllers/endpoints"
	"github.com/coracle-k8s/coracle/controllers/endpointslice"
	"github.com/coracle-k8s/coracle/controllers/endpointslicemirroring"
	"github.com/coracle-k8s/coracle/controllers/ephemeralvolume"
	"github.com/coracle-k8s/coracle/controllers/garbagecollector"
	"github.com/coracle-k8s/coracle/controllers/horizontalpodautoscaler"
	"github.com/coracle-k8s/coracle/controllers/job"
	"github.com/coracle-k8s/coracle/controllers/localpath"
	"github.com/coracle-k8s/coracle/controllers/namespace"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
	"github.com/coracle-k8s/coracle/controllers/nodelifecycle"
	"github.com/coracle-k8s/coracle/controllers/nodeports"
	"github.com/coracle-k8s/coracle/controllers/nodettl"
	"github.com/coracle-k8s/coracle/controllers/persistentvolume"
	"github.com/coracle-k8s/coracle/controllers/podgc"
	"github.com/coracle-k8s/coracle/controllers/replicaset"
	"github.com/coracle-k8s/coracle/controllers/replication"
	"github.com/coracle-k8s/coracle/controllers/resourceclaim"
	"github.com/coracle-k8s/coracle/controllers/resourcequota"
	"github.com/coracle-k8s/coracle/controllers/rootca"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount/legacytokens"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount/tokens"
	"github.com/coracle-k8s/coracle/controllers/servicecidr"
	"github.com/coracle-k8s/coracle/controllers/serviceips"
	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer"
	"github.com/coracle-k8s/coracle/controllers/statefulset"
	"github.com/coracle-k8s/coracle/controllers/storageversionmigration"
	"github.com/coracle-k8s/coracle/controllers/tainteviction"
	"github.com/coracle-k8s/coracle/controllers/ttlafterfinished"
	"github.com/coracle-k8s/coracle/controllers/volumeexpansion"
	"github.com/coracle-k8s/coracle/controllers/volumeprotection"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

// ofObjects take care of objects of every kind.
func (t *term) ofObjects() []entry {
	return []entry{
		{garbagecollector.Name, garbagecollector.New(t.deps, garbagecollector.Config{
			Cache: t.GetCache(), Resources: collectable{t.Server}, NewQueue: leader.NewQueue[garbagecollector.Work](t.Term),
		})},
		{namespace.Name, namespace.New(t.deps, namespace.Config{Metadata: t.metadata, Resources: deletable{t.Server}})},
		{resourcequota.Name, resourcequota.New(t.deps)},
		{storageversionmigration.Name, storageversionmigration.New(t.deps, t.metadata)},
	}
}

// ofAccounts take care of who may do what: accounts, tokens, certificates and roles.
func (t *term) ofAccounts() []entry {
	ca := func() []byte { return t.ServerCA }
	return []entry{
		{serviceaccount.Name, serviceaccount.New(t.deps)},
		{tokens.Name, tokens.New(t.deps, tokens.Config{Tokens: legacyTokens{t.Server}, CA: ca})},
		{legacytokens.CleanerName, legacytokens.NewCleaner(t.deps, legacytokens.DefaultPeriod)},
		{bootstrap.SignerName, bootstrap.NewSigner(t.deps)},
		{bootstrap.CleanerName, bootstrap.NewCleaner(t.deps)},
		{rootca.Name, rootca.New(t.deps, rootca.Config{CA: ca})},
		{clustertrustbundle.Name, clustertrustbundle.New(t.deps, clustertrustbundle.KubeAPIServerServing, ca)},
		{certificates.ApproverName, certificates.NewApprover(t.deps)},
		{certificates.SignerName, certificates.NewSigner(t.deps, certificates.Authorities{Clients: t.Authority, KubeletServing: t.NodeAuthority})},
		{certificates.CleanerName, certificates.NewCleaner(t.deps)},
		{clusterroleaggregation.Name, clusterroleaggregation.New(t.deps)},
	}
}

// ofNodes take care of nodes, and of pods whose node is gone or not fit for them.
func (t *term) ofNodes() []entry {
	return []entry{
		{nodeipam.Name, nodeipam.New(t.deps, nodeipam.Config{
			Ranges: t.PodRanges, Expect: t.ReserveJoined,
			// There may be thousands of simulated nodes, whose pods need no range.
			Optional: func(n *corev1.Node) bool { return n.Labels[simulated.Label] != "" },
		})},
		{nodelifecycle.Name, nodelifecycle.New(t.deps, nodelifecycle.Config{GracePeriod: t.Cluster.Controllers.NodeMonitorGracePeriod.Duration})},
		{nodettl.Name, nodettl.New(t.deps)},
		{tainteviction.Name, tainteviction.New(t.deps)},
		{devicetainteviction.Name, devicetainteviction.New(t.deps)},
		{podgc.Name, podgc.New(t.deps, int(t.Cluster.Controllers.TerminatedPodThreshold))},
	}
}

// ofWorkloads make and remove pods.
func (t *term) ofWorkloads() ([]entry, error) {
	metrics, err := t.metricsAPI()
	if err != nil {
		return nil, err
	}
	return []entry{
		{replicaset.Name, replicaset.New(t.deps)},
		{replication.Name, replication.New(t.deps)},
		{deployment.Name, deployment.New(t.deps)},
		{statefulset.Name, statefulset.New(t.deps)},
		{daemonset.Name, daemonset.New(t.deps)},
		{job.Name, job.New(t.deps)},
		{cronjob.Name, cronjob.New(t.deps)},
		{ttlafterfinished.Name, ttlafterfinished.New(t.deps)},
		{horizontalpodautoscaler.Name, horizontalpodautoscaler.New(t.deps, horizontalpodautoscaler.Config{Metrics: metrics})},
		{disruption.Name, disruption.New(t.deps)},
		{resourceclaim.Name, resourceclaim.New(t.deps)},
	}, nil
}

// ofServices take care of the addresses of Services and of what is behind them.
func (t *term) ofServices() []entry {
	entries := []entry{
		{endpointslice.Name, endpointslice.New(t.deps, endpointslice.Config{})},
		{endpointslicemirroring.Name, endpointslicemirroring.New(t.deps)},
		{endpoints.Name, endpoints.New(t.deps)},
		{servicecidr.Name, servicecidr.New(t.deps)},
	}
	if address := t.Cluster.Network.DNSAddress(); address.IsValid() {
		entries = append(entries, entry{clusterdns.Name, clusterdns.New(t.deps, address.String())})
	}
	if balancer := t.loadBalancer(); balancer != nil {
		entries = append(entries, entry{serviceloadbalancer.Name, serviceloadbalancer.New(t.deps, serviceloadbalancer.Config{Balancer: balancer})})
	}
	return entries
}

// ofVolumes take care of volumes and claims.
func (t *term) ofVolumes() ([]entry, error) {
	dir, err := localPathDir(t.Cluster.DataDir)
	if err != nil {
		return nil, err
	}
	return []entry{
		{persistentvolume.Name, persistentvolume.New(t.deps)},
		{attachdetach.Name, attachdetach.New(t.deps)},
		{volumeexpansion.Name, volumeexpansion.New(t.deps, localpath.Provisioner)},
		{ephemeralvolume.Name, ephemeralvolume.New(t.deps)},
		{localpath.Name, localpath.New(t.deps, localpath.Config{Host: localDirs{t.OwnNode}, Dir: dir, Removers: *t.Cluster.LeaderElection.LeaderElect})},
		{volumeprotection.ClaimsName, volumeprotection.NewClaims(t.deps)},
		{volumeprotection.VolumesName, volumeprotection.NewVolumes(t.deps)},
		{volumeprotection.AttributesClassesName, volumeprotection.NewAttributesClasses(t.deps)},
	}, nil
}

// ofServer returns the controllers that upstream's kube-apiserver runs itself. They cannot
// be turned off.
func (t *term) ofServer() []entry {
	base, size, _ := t.Cluster.Network.PortRange() // Validate checked it
	return []entry{
		{clusterauthentication.Name, clusterauthentication.New(t.deps, func() map[string]string { return t.Authentication })},
		{legacytokens.TrackerName, legacytokens.NewTracker(t.deps)},
		{serviceips.Name, serviceips.New(t.deps)},
		{nodeports.Name, nodeports.New(t.deps, nodeports.Range{Base: base, Size: size})},
	}
}

// QueueName returns upstream's name in metrics of a controller's queue, or the controller's
// name if upstream has no such queue. Where several controllers here do the work of one of
// upstream's, they have one name.
func QueueName(controller string) string {
	for _, known := range [][2]string{
		{bootstrap.SignerName, bootstrap.SignerQueueName},
		{bootstrap.CleanerName, bootstrap.CleanerQueueName},
		{certificates.ApproverName, certificates.ApproverQueueName},
		{certificates.SignerName, certificates.SignerQueueName},
		{clusterroleaggregation.Name, clusterroleaggregation.QueueName},
		{clustertrustbundle.Name, clustertrustbundle.QueueName},
		{cronjob.Name, cronjob.QueueName},
		{daemonset.Name, daemonset.QueueName},
		{deployment.Name, deployment.QueueName},
		{disruption.Name, disruption.QueueName},
		{disruption.StalePodsName, disruption.StalePodsQueueName},
		{endpoints.Name, endpoints.QueueName},
		{endpointslice.Name, endpointslice.QueueName},
		{endpointslicemirroring.Name, endpointslicemirroring.QueueName},
		{ephemeralvolume.Name, ephemeralvolume.QueueName},
		{garbagecollector.Name, garbagecollector.QueueName},
		{horizontalpodautoscaler.Name, horizontalpodautoscaler.QueueName},
		{job.Name, job.QueueName},
		{job.OrphansName, job.OrphansQueueName},
		{namespace.Name, namespace.QueueName},
		{nodelifecycle.Name, nodelifecycle.QueueName},
		{nodettl.Name, nodettl.QueueName},
		{persistentvolume.Name, persistentvolume.QueueName},
		{replicaset.Name, replicaset.QueueName},
		{replication.Name, replication.QueueName},
		{resourceclaim.Name, resourceclaim.QueueName},
		{resourcequota.Name, resourcequota.QueueName},
		{rootca.Name, rootca.QueueName},
		{serviceaccount.Name, serviceaccount.QueueName},
		{servicecidr.Name, servicecidr.QueueName},
		{statefulset.Name, statefulset.QueueName},
		{tainteviction.Name, tainteviction.QueueName},
		{tokens.Name, tokens.QueueName},
		{ttlafterfinished.Name, ttlafterfinished.QueueName},
		{volumeexpansion.Name, volumeexpansion.QueueName},
		{volumeprotection.AttributesClassesName, volumeprotection.AttributesClassesQueueName},
		{volumeprotection.ClaimsName, volumeprotection.ClaimsQueueName},
		{volumeprotection.VolumesName, volumeprotection.VolumesQueueName},
	} {
		if known[0] == controller {
			return known[1]
		}
	}
	return controller
}
