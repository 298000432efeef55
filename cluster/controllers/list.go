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
		{garbagecollector.Name, garbagecollector.New(garbagecollector.Config{
			Client: t.kube, Live: t.live, Cache: t.GetCache(), Recorder: t.recorder("garbage-collector-controller"),
			Resources: collectable{t.Server}, NewQueue: leader.NewQueue[garbagecollector.Work](t.Term),
		})},
		{namespace.Name, namespace.New(namespace.Config{Client: t.kube, Metadata: t.metadata, Resources: deletable{t.Server}, Clock: t.clock})},
		{resourcequota.Name, resourcequota.New(t.kube, t.clock)},
		{storageversionmigration.Name, storageversionmigration.New(t.kube, t.metadata, t.clock)},
	}
}

// ofAccounts take care of who may do what: accounts, tokens, certificates and roles.
func (t *term) ofAccounts() []entry {
	ca := func() []byte { return t.ServerCA }
	return []entry{
		{serviceaccount.Name, serviceaccount.New(t.kube)},
		{tokens.Name, tokens.New(tokens.Config{Client: t.kube, Live: t.live, Tokens: legacyTokens{t.Server}, CA: ca})},
		{legacytokens.CleanerName, legacytokens.NewCleaner(t.kube, t.clock, legacytokens.DefaultPeriod)},
		{bootstrap.SignerName, bootstrap.NewSigner(t.kube, t.clock)},
		{bootstrap.CleanerName, bootstrap.NewCleaner(t.kube, t.clock)},
		{rootca.Name, rootca.New(t.kube, rootca.Config{CA: ca})},
		{clustertrustbundle.Name, clustertrustbundle.New(t.kube, clustertrustbundle.KubeAPIServerServing, ca)},
		{certificates.ApproverName, certificates.NewApprover(t.kube, t.clock)},
		{certificates.SignerName, certificates.NewSigner(t.kube, t.clock, certificates.Authorities{Clients: t.Authority, KubeletServing: t.NodeAuthority})},
		{certificates.CleanerName, certificates.NewCleaner(t.kube, t.clock)},
		{clusterroleaggregation.Name, clusterroleaggregation.New(t.kube)},
	}
}

// ofNodes take care of nodes, and of pods whose node is gone or not fit for them.
func (t *term) ofNodes() []entry {
	return []entry{
		{nodeipam.Name, nodeipam.New(nodeipam.Config{
			Client: t.kube, Recorder: t.recorder("cidrAllocator"), Ranges: t.PodRanges, Expect: t.ReserveJoined,
			// There may be thousands of simulated nodes, whose pods need no range.
			Optional: func(n *corev1.Node) bool { return n.Labels[simulated.Label] != "" },
		})},
		{nodelifecycle.Name, nodelifecycle.New(t.kube, t.clock, t.recorder("node-controller"),
			nodelifecycle.Config{GracePeriod: t.Cluster.Controllers.NodeMonitorGracePeriod.Duration, Live: t.live})},
		{nodettl.Name, nodettl.New(t.kube)},
		{tainteviction.Name, tainteviction.New(t.kube, t.clock, t.recorder("taint-eviction-controller"))},
		{devicetainteviction.Name, devicetainteviction.New(t.kube, t.clock, t.recorder(devicetainteviction.Name))},
		{podgc.Name, podgc.New(t.kube, t.clock, int(t.Cluster.Controllers.TerminatedPodThreshold))},
	}
}

// ofWorkloads make and remove pods.
func (t *term) ofWorkloads() ([]entry, error) {
	metrics, err := t.metricsAPI()
	if err != nil {
		return nil, err
	}
	return []entry{
		{replicaset.Name, replicaset.New(t.kube, t.clock, t.recorder("replicaset-controller"))},
		{replication.Name, replication.New(t.kube, t.clock, t.recorder("replication-controller"))},
		{deployment.Name, deployment.New(t.kube, t.clock, t.recorder("deployment-controller"))},
		{statefulset.Name, statefulset.New(t.kube, t.clock, t.recorder("statefulset-controller"))},
		{daemonset.Name, daemonset.New(t.kube, t.clock, t.recorder("daemonset-controller"))},
		{job.Name, job.New(t.kube, t.clock, t.recorder("job-controller"))},
		{cronjob.Name, cronjob.New(t.kube, t.clock, t.recorder("cronjob-controller"))},
		{ttlafterfinished.Name, ttlafterfinished.New(t.kube, t.clock)},
		{horizontalpodautoscaler.Name, horizontalpodautoscaler.New(horizontalpodautoscaler.Config{
			Client: t.kube, Clock: t.clock, Recorder: t.recorder("horizontal-pod-autoscaler"), Metrics: metrics,
		})},
		{disruption.Name, disruption.New(t.kube, t.clock, t.recorder("controllermanager"))},
		{resourceclaim.Name, resourceclaim.New(t.kube, t.live, t.recorder("resource_claim"))},
	}, nil
}

// ofServices take care of the addresses of Services and of what is behind them.
func (t *term) ofServices() []entry {
	entries := []entry{
		{endpointslice.Name, endpointslice.New(endpointslice.Config{Client: t.kube, Clock: t.clock, Recorder: t.recorder("endpoint-slice-controller")})},
		{endpointslicemirroring.Name, endpointslicemirroring.New(t.kube, t.clock, t.recorder("endpoint-slice-mirroring-controller"))},
		{endpoints.Name, endpoints.New(t.kube, t.clock, t.recorder("endpoint-controller"))},
		{servicecidr.Name, servicecidr.New(t.kube, t.clock)},
	}
	if address := t.Cluster.Network.DNSAddress(); address.IsValid() {
		entries = append(entries, entry{clusterdns.Name, clusterdns.New(t.kube, address.String())})
	}
	if balancer := t.loadBalancer(); balancer != nil {
		entries = append(entries, entry{serviceloadbalancer.Name, serviceloadbalancer.New(serviceloadbalancer.Config{
			Client: t.kube, Clock: t.clock, Recorder: t.recorder("service-controller"), Balancer: balancer,
		})})
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
		{persistentvolume.Name, persistentvolume.New(t.kube, t.live, t.recorder("persistentvolume-controller"))},
		{attachdetach.Name, attachdetach.New(t.kube, t.live, t.clock, t.recorder("attachdetach-controller"))},
		{volumeexpansion.Name, volumeexpansion.New(t.kube, t.recorder("volume_expand"), localpath.Provisioner)},
		{ephemeralvolume.Name, ephemeralvolume.New(t.kube, t.recorder("ephemeral_volume"))},
		{localpath.Name, localpath.New(localpath.Config{
			Client: t.kube, Recorder: t.recorder(localpath.Provisioner), Clock: t.clock, Host: localDirs{t.OwnNode}, Dir: dir,
			Removers: *t.Cluster.LeaderElection.LeaderElect,
		})},
		{volumeprotection.ClaimsName, volumeprotection.NewClaims(t.kube, t.live, t.clock)},
		{volumeprotection.VolumesName, volumeprotection.NewVolumes(t.kube)},
		{volumeprotection.AttributesClassesName, volumeprotection.NewAttributesClasses(t.kube)},
	}, nil
}

// ofServer returns the controllers that upstream's kube-apiserver runs itself. They cannot
// be turned off.
func (t *term) ofServer() []entry {
	base, size, _ := t.Cluster.Network.PortRange() // Validate checked it
	return []entry{
		{clusterauthentication.Name, clusterauthentication.New(t.kube, func() map[string]string { return t.Authentication })},
		{legacytokens.TrackerName, legacytokens.NewTracker(t.kube, t.clock)},
		{serviceips.Name, serviceips.New(t.kube, t.live, t.clock, t.GetEventRecorder(serviceips.Name))},
		{nodeports.Name, nodeports.New(t.kube, t.GetEventRecorder(nodeports.Name), nodeports.Range{Base: base, Size: size})},
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
