package kubeapiserver

import "github.com/coracle-k8s/coracle/apis/config/v1alpha1"

// Defaults of the flags about old log files. The configuration's are to keep all.
const (
	maxAge     = 366
	maxBackups = 100
)

func (f *Flags) addAudit() {
	set, a := f.set, &f.config.APIServer.Audit
	age, backups := a.LogMaxAge, a.LogMaxBackups
	if a.LogPath == "" {
		age, backups = maxAge, maxBackups
	}
	set.StringVar(&a.PolicyFile, "audit-policy-file", a.PolicyFile, "audit policy")
	set.StringVar(&a.LogPath, "audit-log-path", a.LogPath, "audit log, - for standard output")
	set.StringVar(&a.LogFormat, "audit-log-format", a.LogFormat, "json or legacy")
	set.Int32Var(&a.LogMaxSize, "audit-log-maxsize", a.LogMaxSize, "megabytes beyond which a new file is begun")
	set.Int32Var(&a.LogMaxBackups, "audit-log-maxbackup", backups, "old files that are kept; 0 keeps all")
	set.Int32Var(&a.LogMaxAge, "audit-log-maxage", age, "days that old files are kept; 0 keeps all")
	set.BoolVar(&a.LogCompress, "audit-log-compress", a.LogCompress, "gzip old files")
	set.StringVar(&a.LogMode, "audit-log-mode", a.LogMode, "batch, blocking or blocking-strict")
	set.StringVar(&a.WebhookKubeconfigFile, "audit-webhook-config-file", a.WebhookKubeconfigFile, "kubeconfig of a server that events are sent to")
	set.StringVar(&a.WebhookMode, "audit-webhook-mode", a.WebhookMode, "batch, blocking or blocking-strict")
	backoff := &a.WebhookInitialBackoff.Duration
	set.DurationVar(backoff, "audit-webhook-initial-backoff", *backoff, "time before the first retry")
	set.DurationVar(backoff, "audit-webhook-batch-initial-backoff", *backoff, "time before the first retry")
	set.Lookup("audit-webhook-batch-initial-backoff").Hidden = true
	f.addBackend("audit-log", &a.LogBatch, &a.LogTruncate)
	f.addBackend("audit-webhook", &a.WebhookBatch, &a.WebhookTruncate)
}

// addBackend adds the flags of batches and large events of one backend.
func (f *Flags) addBackend(name string, b *v1alpha1.AuditBatch, t *v1alpha1.AuditTruncate) {
	set := f.set
	set.Int32Var(&b.BufferSize, name+"-batch-buffer-size", b.BufferSize, "events that wait in the mode batch; more are dropped")
	set.Int32Var(&b.MaxSize, name+"-batch-max-size", b.MaxSize, "events that are written at once in the mode batch")
	set.DurationVar(&b.MaxWait.Duration, name+"-batch-max-wait", b.MaxWait.Duration, "how long events wait for others in the mode batch")
	set.BoolVar(b.Throttle, name+"-batch-throttle-enable", *b.Throttle, "bound the batches of the mode batch")
	set.Float32Var(&b.ThrottleQPS, name+"-batch-throttle-qps", b.ThrottleQPS, "batches a second, if they are bounded")
	set.Int32Var(&b.ThrottleBurst, name+"-batch-throttle-burst", b.ThrottleBurst, "batches at once, if they are bounded")
	set.BoolVar(&t.Enabled, name+"-truncate-enabled", t.Enabled, "leave objects out of large events, and drop those that stay too large")
	set.Int64Var(&t.MaxBatchSize, name+"-truncate-max-batch-size", t.MaxBatchSize, "bytes of a batch, if large ones are bounded")
	set.Int64Var(&t.MaxEventSize, name+"-truncate-max-event-size", t.MaxEventSize, "bytes of an event, if large ones are bounded")
}

// completeAudit leaves out what upstream leaves out: a log without a policy, and a
// policy without a log.
func (f *Flags) completeAudit(warnings *[]string) {
	a := &f.config.APIServer.Audit
	switch written := a.LogPath != "" || a.WebhookKubeconfigFile != ""; {
	case written && a.PolicyFile == "":
		*warnings = append(*warnings, "no events are recorded: --audit-log-path and --audit-webhook-config-file have no effect without --audit-policy-file")
		a.LogPath, a.WebhookKubeconfigFile = "", ""
	case !written && a.PolicyFile != "":
		*warnings = append(*warnings, "no events are recorded: --audit-policy-file has no effect without --audit-log-path or --audit-webhook-config-file")
		a.PolicyFile = ""
	}
}
