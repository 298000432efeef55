// Package resources validates names and amounts of resources.
package resources
