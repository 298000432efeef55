package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apiextensionsfeatures "k8s.io/apiextensions-apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	metricsfeatures "k8s.io/component-base/metrics/features"
	controllerfeatures "k8s.io/controller-manager/pkg/features"
	_ "k8s.io/controller-manager/pkg/features/register" // as controller managers do
	"k8s.io/kubernetes/pkg/features"
)

// registered returns every gate that a component of Kubernetes registers. The
// imported packages register those of the API servers, client-go, the controller
// managers and the kubelet; the components add the rest when they start.
func registered() (featuregate.MutableVersionedFeatureGate, error) {
	gate := utilfeature.DefaultMutableFeatureGate.DeepCopy()
	for _, add := range []func(featuregate.MutableVersionedFeatureGate) error{metricsfeatures.AddFeatureGates, logs} {
		if err := add(gate); err != nil {
			return nil, fmt.Errorf("adding feature gates: %w", err)
		}
	}
	all := gate.GetAllVersioned()
	// One gate of each package, so that a package that registers no more is noticed.
	for _, known := range []featuregate.Feature{
		features.AuthorizePodWebsocketUpgradeCreatePermission, apiextensionsfeatures.CRDValidationRatcheting, controllerfeatures.ControllerManagerReleaseLeaderElectionLockOnExit,
	} {
		if all[known] == nil {
			return nil, fmt.Errorf("gate %s is not registered", known)
		}
	}
	return gate, nil
}

func logs(gate featuregate.MutableVersionedFeatureGate) error { return logsapi.AddFeatureGates(gate) }

// gates returns the table: each gate with its newest stage, the version of that, and
// the gates that must be on with it.
func gates() (string, error) {
	gate, err := registered()
	if err != nil {
		return "", err
	}
	requires := gate.Dependencies()
	var rows [][]string
	for name, specs := range gate.GetAllVersioned() {
		if name == "AllAlpha" || name == "AllBeta" {
			continue
		}
		newest := specs[len(specs)-1]
		stage := string(newest.PreRelease)
		if newest.PreRelease == featuregate.GA {
			stage = "GA"
		}
		rows = append(rows, []string{string(name), stage, strconv.FormatBool(newest.Default), strconv.FormatBool(newest.LockToDefault), newest.Version.String(),
			strings.Trim(fmt.Sprint(requires[name]), "[]")})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var out strings.Builder
	w := csv.NewWriter(&out)
	if err := w.WriteAll(append([][]string{{"name", "stage", "default", "locked", "since", "requires"}}, rows...)); err != nil {
		return "", fmt.Errorf("writing the table: %w", err)
	}
	return out.String(), nil
}
