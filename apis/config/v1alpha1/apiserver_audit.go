package v1alpha1

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Default fills every field that was left out.
func (a *Audit) Default() {
	set(&a.LogFormat, "json")
	set(&a.LogMode, "blocking")
	set(&a.LogMaxSize, 100)
	set(&a.LogBatch.MaxSize, 1)
	pointer(&a.LogBatch.Throttle, false)
	set(&a.WebhookMode, "batch")
	set(&a.WebhookInitialBackoff.Duration, 10*time.Second)
	b := &a.WebhookBatch
	set(&b.MaxSize, 400)
	set(&b.MaxWait.Duration, 30*time.Second)
	yes(&b.Throttle)
	set(&b.ThrottleQPS, 10)
	set(&b.ThrottleBurst, 15)
	set(&a.LogBatch.BufferSize, 10000)
	set(&b.BufferSize, 10000)
	for _, t := range []*AuditTruncate{&a.LogTruncate, &a.WebhookTruncate} {
		set(&t.MaxBatchSize, 10<<20)
		set(&t.MaxEventSize, 100<<10)
	}
}

func (a *Audit) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	written := a.LogPath != "" || a.WebhookKubeconfigFile != ""
	if a.PolicyFile != "" && !written {
		errs = append(errs, field.Required(at.Child("logPath"), "events must go somewhere: there or to a webhook"))
	}
	if a.PolicyFile == "" && written {
		errs = append(errs, field.Required(at.Child("policyFile"), "without a policy nothing is recorded"))
	}
	if formats := []string{"json", "legacy"}; !slices.Contains(formats, a.LogFormat) {
		errs = append(errs, field.NotSupported(at.Child("logFormat"), a.LogFormat, formats))
	}
	for name, mode := range map[string]string{"logMode": a.LogMode, "webhookMode": a.WebhookMode} {
		if modes := []string{"blocking", "batch", "blocking-strict"}; !slices.Contains(modes, mode) {
			errs = append(errs, field.NotSupported(at.Child(name), mode, modes))
		}
	}
	for name, n := range map[string]int32{"logMaxSize": a.LogMaxSize, "logMaxBackups": a.LogMaxBackups, "logMaxAge": a.LogMaxAge} {
		if n < 0 {
			errs = append(errs, field.Invalid(at.Child(name), n, "must not be negative"))
		}
	}
	if a.WebhookInitialBackoff.Duration < 0 {
		errs = append(errs, field.Invalid(at.Child("webhookInitialBackoff"), a.WebhookInitialBackoff.Duration.String(), "must not be negative"))
	}
	errs = append(errs, a.LogBatch.validate(at.Child("logBatch"))...)
	errs = append(errs, a.WebhookBatch.validate(at.Child("webhookBatch"))...)
	errs = append(errs, a.LogTruncate.validate(at.Child("logTruncate"))...)
	return append(errs, a.WebhookTruncate.validate(at.Child("webhookTruncate"))...)
}

func (b *AuditBatch) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, n := range map[string]int32{"bufferSize": b.BufferSize, "maxSize": b.MaxSize} {
		if n < 1 {
			errs = append(errs, field.Invalid(at.Child(name), n, "must be at least 1"))
		}
	}
	if b.MaxWait.Duration < 0 {
		errs = append(errs, field.Invalid(at.Child("maxWait"), b.MaxWait.Duration.String(), "must not be negative"))
	}
	if *b.Throttle && (b.ThrottleQPS <= 0 || b.ThrottleBurst <= 0) {
		errs = append(errs, field.Invalid(at.Child("throttle"), *b.Throttle, "throttleQPS and throttleBurst must be positive"))
	}
	return errs
}

func (t *AuditTruncate) validate(at *field.Path) field.ErrorList {
	if t.MaxEventSize < 1 {
		return field.ErrorList{field.Invalid(at.Child("maxEventSize"), t.MaxEventSize, "must be at least 1")}
	}
	if t.MaxBatchSize < t.MaxEventSize {
		return field.ErrorList{field.Invalid(at.Child("maxBatchSize"), t.MaxBatchSize, "must be at least maxEventSize")}
	}
	return nil
}
