// Package storageversionmigration stores all objects of a resource again when a
// StorageVersionMigration asks for it, so that what is at rest follows today's
// storage version and today's encryption key.
//
// It wakes on StorageVersionMigrations.
//
// Invariants:
//
//  1. The resource version of the first list is noted in the status before
//     anything is written; objects newer than it are left alone.
//  2. Each object is written by a patch that changes nothing. It fails if another
//     client wrote the object meanwhile, which is as good.
//  3. A migration ends once, with Succeeded or Failed, and is never looked at again.
//
// The API of this package is not stable: see docs/api.md.
package storageversionmigration
