package main

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	_ "k8s.io/component-base/logs/json/register" // as kube-apiserver's main does
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// flags returns the table: each flag of kube-apiserver with its type, its default
// and whether --help leaves it out, in the order of names.
func flags() (string, error) {
	rows := [][]string{{"name", "type", "default", "hidden"}}
	app.NewAPIServerCommand().Flags().VisitAll(func(f *pflag.Flag) {
		rows = append(rows, []string{f.Name, f.Value.Type(), f.DefValue, strconv.FormatBool(f.Hidden || f.Deprecated != "")})
	})
	var out strings.Builder
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		return "", fmt.Errorf("writing the table: %w", err)
	}
	return out.String(), nil
}
