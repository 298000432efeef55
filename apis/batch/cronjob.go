package batch

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones on machines that have no files of them

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// maxCronJobName leaves room for the suffix of 11 characters in the names of
// its jobs.
const maxCronJobName = utilvalidation.DNS1035LabelMaxLength - 11

// ParseSchedule reads a cron schedule of five fields, or one like "@hourly" or
// "@every 5m". A prefix TZ= or CRON_TZ= names its time zone.
func ParseSchedule(text string) (schedule cron.Schedule, err error) {
	defer func() {
		// The parser panics on a zone without a schedule.
		if r := recover(); r != nil {
			schedule, err = nil, fmt.Errorf("invalid schedule format: %v", r)
		}
	}()
	return cron.ParseStandard(text)
}

// ValidateCronJob validates a new CronJob.
func ValidateCronJob(c *batchv1.CronJob) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validateCronJobSpec(&c.Spec, nil)...)
	if len(c.Name) > maxCronJobName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), c.Name, "must be no more than 52 characters"))
	}
	return append(errs, declaredSchedule(c)...)
}

// declaredSchedule is declared beside upstream's types: it comes after all other errors.
func declaredSchedule(c *batchv1.CronJob) field.ErrorList {
	if c.Spec.Schedule != "" {
		return nil
	}
	return field.ErrorList{field.Required(specPath.Child("schedule"), "")}
}

// ValidateCronJobUpdate validates a changed CronJob. A time zone in the
// schedule, and a zone that is not known here, may stay where they were stored.
func ValidateCronJobUpdate(c, old *batchv1.CronJob) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	errs = append(errs, validateCronJobSpec(&c.Spec, &old.Spec)...)
	return append(errs, declaredSchedule(c)...)
}

func validateCronJobSpec(s, old *batchv1.CronJobSpec) field.ErrorList {
	errs := validateSchedule(s, old != nil && strings.Contains(old.Schedule, "TZ"), specPath.Child("schedule"))
	if n := s.StartingDeadlineSeconds; n != nil {
		errs = append(errs, validation.ValidateNonnegativeField(*n, specPath.Child("startingDeadlineSeconds"))...)
	}
	if s.TimeZone != nil && (old == nil || !ptr.Equal(s.TimeZone, old.TimeZone)) {
		errs = append(errs, validateTimeZone(*s.TimeZone, specPath.Child("timeZone"))...)
	}
	known := []batchv1.ConcurrencyPolicy{batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent}
	switch p, path := s.ConcurrencyPolicy, specPath.Child("concurrencyPolicy"); p {
	case "":
		errs = append(errs, field.Required(path, ""))
	case known[0], known[1], known[2]:
	default:
		errs = append(errs, field.NotSupported(path, p, known))
	}
	var was *batchv1.JobSpec
	if old != nil {
		was = &old.JobTemplate.Spec
	}
	errs = append(errs, validateJobTemplate(&s.JobTemplate.Spec, was, specPath.Child("jobTemplate", "spec"))...)
	if n := s.SuccessfulJobsHistoryLimit; n != nil {
		errs = append(errs, validation.ValidateNonnegativeField(int64(*n), specPath.Child("successfulJobsHistoryLimit"))...)
	}
	if n := s.FailedJobsHistoryLimit; n != nil {
		errs = append(errs, validation.ValidateNonnegativeField(int64(*n), specPath.Child("failedJobsHistoryLimit"))...)
	}
	return errs
}

// validateJobTemplate validates a template. It must have no selector: every job
// gets one of its own.
func validateJobTemplate(s, old *batchv1.JobSpec, path *field.Path) field.ErrorList {
	errs := validateSpec(s, old, path)
	if s.Selector != nil {
		errs = append(errs, field.Invalid(path.Child("selector"), s.Selector, "`selector` will be auto-generated"))
	}
	if ptr.Deref(s.ManualSelector, false) {
		errs = append(errs, field.NotSupported(path.Child("manualSelector"), s.ManualSelector, []string{"nil", "false"}))
	}
	return errs
}

func validateSchedule(s *batchv1.CronJobSpec, zoneAllowed bool, path *field.Path) field.ErrorList {
	if s.Schedule == "" {
		return nil // see declaredSchedule
	}
	var errs field.ErrorList
	if _, err := ParseSchedule(s.Schedule); err != nil {
		errs = append(errs, field.Invalid(path, s.Schedule, err.Error()))
	}
	if strings.Contains(s.Schedule, "TZ") {
		switch {
		case !zoneAllowed:
			errs = append(errs, field.Invalid(path, s.Schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
		case s.TimeZone != nil:
			errs = append(errs, field.Invalid(path, s.Schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
		}
	}
	return errs
}

var zonePart = regexp.MustCompile(`^[A-Za-z\.\-_0-9+]{1,14}$`)

func validateTimeZone(zone string, path *field.Path) field.ErrorList {
	if zone == "" {
		return field.ErrorList{field.Invalid(path, &zone, "timeZone must be nil or non-empty string")}
	}
	for _, part := range strings.Split(zone, "/") {
		if part == "." || part == ".." || strings.HasPrefix(part, "-") || !zonePart.MatchString(part) {
			return field.ErrorList{field.Invalid(path, &zone, "unknown time zone "+zone)}
		}
	}
	var errs field.ErrorList
	if strings.EqualFold(zone, "Local") {
		errs = append(errs, field.Invalid(path, &zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
	}
	if _, err := time.LoadLocation(zone); err != nil {
		errs = append(errs, field.Invalid(path, &zone, err.Error()))
	}
	return errs
}

// ValidateCronJobStatusUpdate accepts everything, as upstream does.
func ValidateCronJobStatusUpdate(_, _ *batchv1.CronJob) field.ErrorList { return nil }

// CronJobWarnings returns warnings about what is legal in a CronJob but probably a mistake; old
// is nil on creation.
func CronJobWarnings(c, old *batchv1.CronJob) []string {
	path := field.NewPath("spec", "jobTemplate", "spec")
	if old == nil {
		return append(nameWarnings(c.Name), specWarnings(&c.Spec.JobTemplate.Spec, nil, path)...)
	}
	var warnings []string
	if c.Generation != old.Generation {
		warnings = specWarnings(&c.Spec.JobTemplate.Spec, &old.Spec.JobTemplate.Spec, path)
	}
	if strings.Contains(c.Spec.Schedule, "TZ") {
		// The path has "spec" twice upstream.
		warnings = append(warnings, fmt.Sprintf("cannot use TZ or CRON_TZ in %s, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", field.NewPath("spec", "spec", "schedule")))
	}
	return warnings
}
