package main

import "regexp"

// difference is one that is meant: a pattern of compare's lines, and the reason.
type difference struct {
	pattern *regexp.Regexp
	reason  string
}

func differencesOnPurpose() []difference {
	return []difference{
		{regexp.MustCompile(`^Deployment \S+: \.status\.conditions: upstream \[\{[^]]*(has successfully progressed|is progressing|Created new replica set)[^]]*"type":"Progressing"\}\], coracle \[\{[^]]*(has successfully progressed|is progressing|Created new replica set)[^]]*"type":"Progressing"\}\]$`),
			"When a Recreate rollout's new pods do not get ready, either side may keep the condition of the rollout before: it does if the write that a new ReplicaSet was made meets a conflict. Likewise a rollout shows progress only if the count of updated pods was written before the first of them came. See pkg/controller/deployment/sync.go, getNewReplicaSet, and util/deployment_util.go, DeploymentProgressing."},
		{regexp.MustCompile(`^Event of PodDisruptionBudget \S+: Normal NoPods: `),
			"A budget whose last pod is being replaced is looked at while there is none, or is not."},
		{regexp.MustCompile(`^Event of Job \S+: Normal SuccessfulDelete: Deleted pod: `),
			"A Job that fails deletes the pods that still run. Whether one does follows from when the pods of the script end; the Job's status is compared."},
		{regexp.MustCompile(`^Event of \S+ \S+: Warning FailedCreate: .*exceeded quota`),
			"Whether a replacement is tried before the quota knows that its pod is gone follows from when either looks; what comes of it is compared."},
	}
}

// intended reports whether a line of compare is a difference on purpose.
func intended(line string) bool {
	for _, d := range differencesOnPurpose() {
		if d.pattern.MatchString(line) {
			return true
		}
	}
	return false
}
