// Package audit records the requests of each user:
// https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/. Policy, events
// and their formats are upstream's.
//
// The API of this package is not stable: see docs/api.md.
package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/audit/buffered"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"
	"k8s.io/apiserver/plugin/pkg/audit/truncate"
	auditwebhook "k8s.io/apiserver/plugin/pkg/audit/webhook"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// Log writes events to a backend, and holds the policy that selects them.
type Log struct {
	audit.Backend
	audit.PolicyRuleEvaluator

	file io.Closer
	stop chan struct{}
}

// Open makes the log of a defaulted configuration with a policy. It writes from
// Start until Close.
func Open(c v1alpha1.Audit) (*Log, error) {
	p, err := policy.LoadPolicyFromFile(c.PolicyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the audit policy: %w", err)
	}
	l := &Log{PolicyRuleEvaluator: policy.NewPolicyRuleEvaluator(p), stop: make(chan struct{})}
	var backends []audit.Backend
	if c.LogPath != "" {
		to, err := l.open(c)
		if err != nil {
			return nil, fmt.Errorf("opening the audit log: %w", err)
		}
		log := truncated(c.LogTruncate, inMode(c.LogMode, c.LogBatch, false, auditlog.NewBackend(to, c.LogFormat, auditv1.SchemeGroupVersion)))
		backends = append(backends, log)
	}
	if c.WebhookKubeconfigFile != "" {
		to, err := auditwebhook.NewBackend(c.WebhookKubeconfigFile, auditv1.SchemeGroupVersion, webhook.DefaultRetryBackoffWithInitialDelay(c.WebhookInitialBackoff.Duration), nil)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("making the audit webhook: %w", err), l.closeFile())
		}
		backends = append(backends, truncated(c.WebhookTruncate, inMode(c.WebhookMode, c.WebhookBatch, true, to)))
	}
	l.Backend = audit.Union(backends...)
	return l, nil
}

func (l *Log) open(c v1alpha1.Audit) (io.Writer, error) {
	if c.LogPath == "-" {
		return os.Stdout, nil
	}
	f, err := openRotating(rotation{
		Path: c.LogPath, MaxSize: int64(c.LogMaxSize) << 20, MaxBackups: int(c.LogMaxBackups),
		MaxAge: time.Duration(c.LogMaxAge) * 24 * time.Hour, Compress: c.LogCompress,
	}, time.Now)
	if err == nil {
		l.file = f
	}
	return f, err
}

// inMode writes to a backend as the mode has it. An asynchronous one gets batches
// side by side, as a webhook may be slow.
func inMode(mode string, b v1alpha1.AuditBatch, asynchronous bool, to audit.Backend) audit.Backend {
	switch mode {
	case "batch":
		return buffered.NewBackend(to, buffered.BatchConfig{
			BufferSize: int(b.BufferSize), MaxBatchSize: int(b.MaxSize), MaxBatchWait: b.MaxWait.Duration,
			ThrottleEnable: *b.Throttle, ThrottleQPS: b.ThrottleQPS, ThrottleBurst: int(b.ThrottleBurst), AsyncDelegate: asynchronous,
		})
	case "blocking":
		return forgiving{to}
	}
	return to
}

func truncated(t v1alpha1.AuditTruncate, to audit.Backend) audit.Backend {
	if !t.Enabled {
		return to
	}
	return truncate.NewBackend(to, truncate.Config{MaxBatchSize: t.MaxBatchSize, MaxEventSize: t.MaxEventSize}, auditv1.SchemeGroupVersion)
}

// forgiving lets requests through whose event cannot be written.
type forgiving struct{ audit.Backend }

func (f forgiving) ProcessEvents(events ...*auditinternal.Event) bool {
	f.Backend.ProcessEvents(events...)
	return true
}

// Start begins to write.
func (l *Log) Start() error {
	if err := l.Backend.Run(l.stop); err != nil {
		return fmt.Errorf("starting the audit log: %w", err)
	}
	return nil
}

// Close writes what is buffered. No request may run any more.
func (l *Log) Close() error {
	close(l.stop)
	l.Backend.Shutdown()
	return l.closeFile()
}

func (l *Log) closeFile() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
