// Package env makes the environment of containers: services, envFrom, env with
// $(VAR) expansion, and every valueFrom. Expand and Command do the same for
// commands, Field and Resource give the downward API's values to env and to
// downwardAPI files alike.
//
// Order and precedence are those of
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
// services < envFrom < env; within env a reference sees services and earlier
// entries of env, but not envFrom.
//
// The API of this package is not stable: see docs/api.md.
package env
