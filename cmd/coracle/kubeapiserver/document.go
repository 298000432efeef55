package kubeapiserver

import (
	"fmt"
	"strings"
)

const introduction = `# Flags of kube-apiserver

What the program kube-apiserver of ` + "`coracle envtest-assets`" + ` does about each flag of
Kubernetes' kube-apiserver: **honoured** flags set what is named, which is a field of
the [configuration file](../config/samples/cluster.yaml) for most; **warned** ones have
no effect, which a line on standard error says; **refused** ones end the start in one
line, but for the values that are named. No flag that restricts is only warned of. A
value that equals upstream's default is taken of every flag. Written by
` + "`make features`" + `; edit [decisions.txt](../cmd/coracle/kubeapiserver/decisions.txt).

`

// Document returns docs/kube-apiserver.md.
func Document() (string, error) {
	all, err := All()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(introduction)
	counts := map[string]int{}
	for _, f := range all {
		counts[f.Decision]++
	}
	for _, d := range []string{Honoured, Warned, Refused} {
		fmt.Fprintf(&out, "- %s: %d\n", d, counts[d])
	}
	out.WriteString("\n| flag | upstream's default | decision | what it sets, or why not |\n|---|---|---|---|\n")
	for _, f := range all {
		reason := f.Reason
		if f.Accepts != nil {
			reason += " Taken: " + strings.Join(f.Accepts, ", ") + "."
		}
		fmt.Fprintf(&out, "| --%s | %s | %s | %s |\n", f.Name, strings.ReplaceAll(f.Default, "|", "\\|"), f.Decision, reason)
	}
	return out.String(), nil
}
