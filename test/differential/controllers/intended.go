package main

import "regexp"

// difference is one that is meant: a pattern of what compare says, and why.
type difference struct {
	pattern *regexp.Regexp
	reason  string
}

func differencesOnPurpose() []difference {
	return []difference{
		{regexp.MustCompile(`^Deployment \S+: \.status\.conditions: upstream .*has successfully progressed.*coracle .*is progressing`),
			"Upstream keeps the condition of the rollout before if its write that a new ReplicaSet was made meets a conflict: pkg/controller/deployment/sync.go, getNewReplicaSet."},
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
