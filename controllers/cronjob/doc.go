// Package cronjob makes Jobs at the times that a batch/v1 CronJob names.
//
// It promises:
//
//  1. A scheduled time makes at most one Job: the Job's name is the time.
//  2. Of several times that were missed only the last is made up for, unless
//     that is longer ago than the starting deadline.
//  3. status.active lists the Jobs that run; a Job that is not listed, or
//     listed and gone, is an event.
//
// plan.go decides and is pure; schedule.go reads schedules.
//
// The API of this package is not stable: see docs/api.md.
package cronjob
