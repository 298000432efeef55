package scheduler

import (
	v1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/plugins/defaultbinder"
	"github.com/coracle-k8s/coracle/scheduler/plugins/defaultpreemption"
	"github.com/coracle-k8s/coracle/scheduler/plugins/dynamicresources"
	"github.com/coracle-k8s/coracle/scheduler/plugins/imagelocality"
	"github.com/coracle-k8s/coracle/scheduler/plugins/interpodaffinity"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodeaffinity"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodedeclaredfeatures"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodename"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodeports"
	"github.com/coracle-k8s/coracle/scheduler/plugins/noderesources"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodeunschedulable"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodevolumelimits"
	"github.com/coracle-k8s/coracle/scheduler/plugins/podtopologyspread"
	"github.com/coracle-k8s/coracle/scheduler/plugins/queuesort"
	"github.com/coracle-k8s/coracle/scheduler/plugins/schedulinggates"
	"github.com/coracle-k8s/coracle/scheduler/plugins/tainttoleration"
	"github.com/coracle-k8s/coracle/scheduler/plugins/volumebinding"
	"github.com/coracle-k8s/coracle/scheduler/plugins/volumerestrictions"
	"github.com/coracle-k8s/coracle/scheduler/plugins/volumezone"
)

// newFramework assembles Kubernetes' default plugins with its default weights,
// in its order: the first plugin that refuses a node gives the reason.
// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
func (s *Scheduler) newFramework() (*framework.Framework, error) {
	f, err := framework.New(s.nominator,
		framework.Weighted{Plugin: schedulinggates.New()},
		framework.Weighted{Plugin: queuesort.New()},
		framework.Weighted{Plugin: nodeunschedulable.New()},
		framework.Weighted{Plugin: nodename.New()},
		framework.Weighted{Plugin: tainttoleration.New(), Weight: 3},
		framework.Weighted{Plugin: nodeaffinity.New(), Weight: 2},
		framework.Weighted{Plugin: nodeports.New()},
		framework.Weighted{Plugin: noderesources.NewFit(func(name v1.ResourceName) bool { return s.devices.ClassOf(name) != nil }), Weight: 1},
		framework.Weighted{Plugin: volumerestrictions.New(s.volumes, s.snapshot)},
		framework.Weighted{Plugin: nodevolumelimits.New(s.volumes)},
		framework.Weighted{Plugin: volumebinding.New(s.cfg.Client, s.volumes, s.cfg.Clock), Weight: 1},
		framework.Weighted{Plugin: volumezone.New(s.volumes)},
		framework.Weighted{Plugin: podtopologyspread.New(s.snapshot, s.objects), Weight: 2},
		framework.Weighted{Plugin: interpodaffinity.New(s.snapshot, s.objects), Weight: 2},
		framework.Weighted{Plugin: dynamicresources.New(s.cfg.Client, s.devices, s.cfg.Clock, s.cfg.Recorder), Weight: 2},
		framework.Weighted{Plugin: noderesources.NewBalancedAllocation(), Weight: 1},
		framework.Weighted{Plugin: imagelocality.New(s.snapshot), Weight: 1},
		framework.Weighted{Plugin: defaultbinder.New(s.cfg.Client)},
		framework.Weighted{Plugin: nodedeclaredfeatures.New()},
	)
	if err != nil {
		return nil, err
	}
	f.AddPostFilter(defaultpreemption.New(defaultpreemption.Config{
		Client: s.cfg.Client, Recorder: s.cfg.Recorder, Nominator: s.nominator, Runner: f, Nodes: s.snapshot,
		SchedulerName: s.cfg.SchedulerName, Now: s.cfg.Clock.Now, OnPreempt: s.metrics.preempted,
	}))
	return f, nil
}
