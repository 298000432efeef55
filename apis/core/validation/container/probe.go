package container

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

func execAction(fldPath *field.Path, e *corev1.ExecAction) field.ErrorList {
	if len(e.Command) == 0 {
		return field.ErrorList{field.Required(fldPath.Child("command"), "")}
	}
	return nil
}

func httpGet(fldPath *field.Path, h *corev1.HTTPGetAction) field.ErrorList {
	errs := check.Required(fldPath.Child("path"), h.Path)
	errs = append(errs, check.PortNumberOrName(fldPath.Child("port"), h.Port)...)
	errs = append(errs, check.OneOf(fldPath.Child("scheme"), h.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
	for _, header := range h.HTTPHeaders {
		errs = append(errs, check.Invalid(fldPath.Child("httpHeaders"), header.Name, validation.IsHTTPHeaderName(header.Name))...)
	}
	return errs
}

func tcpSocket(fldPath *field.Path, t *corev1.TCPSocketAction) field.ErrorList {
	return check.PortNumberOrName(fldPath.Child("port"), t.Port)
}

// handlers validates that one of several kinds of handler is given.
func handlers(fldPath *field.Path, list []check.Source) field.ErrorList {
	return check.ExactlyOne(fldPath, list, "must specify a handler type", "may not specify more than 1 handler type")
}

func probe(fldPath *field.Path, p *corev1.Probe) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := handlers(fldPath, []check.Source{
		{Name: "exec", Set: p.Exec != nil, Validate: func(at *field.Path) field.ErrorList { return execAction(at, p.Exec) }},
		{Name: "httpGet", Set: p.HTTPGet != nil, Validate: func(at *field.Path) field.ErrorList { return httpGet(at, p.HTTPGet) }},
		{Name: "tcpSocket", Set: p.TCPSocket != nil, Validate: func(at *field.Path) field.ErrorList { return tcpSocket(at, p.TCPSocket) }},
		{Name: "grpc", Set: p.GRPC != nil, Validate: func(at *field.Path) field.ErrorList {
			return check.Invalid(at.Child("port"), p.GRPC.Port, validation.IsValidPortNum(int(p.GRPC.Port)))
		}},
	})
	for _, n := range []struct {
		name  string
		value int32
	}{{"initialDelaySeconds", p.InitialDelaySeconds}, {"timeoutSeconds", p.TimeoutSeconds}, {"periodSeconds", p.PeriodSeconds},
		{"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold}} {
		errs = append(errs, check.Nonnegative(fldPath.Child(n.name), n.value)...)
	}
	if g := p.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		errs = append(errs, field.Invalid(fldPath.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0"))
	}
	return errs
}

// probes validates the three probes of a container that keeps running.
func probes(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	once := func(name string, p *corev1.Probe) {
		at := fldPath.Child(name)
		errs = append(errs, probe(at, p)...)
		if p != nil && p.SuccessThreshold != 1 {
			errs = append(errs, field.Invalid(at.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
		}
	}
	once("livenessProbe", c.LivenessProbe)
	errs = append(errs, probe(fldPath.Child("readinessProbe"), c.ReadinessProbe)...)
	if p := c.ReadinessProbe; p != nil && p.TerminationGracePeriodSeconds != nil {
		errs = append(errs, field.Invalid(fldPath.Child("readinessProbe", "terminationGracePeriodSeconds"), *p.TerminationGracePeriodSeconds, "must not be set for readinessProbes"))
	}
	once("startupProbe", c.StartupProbe)
	return errs
}

func lifecycle(fldPath *field.Path, l *corev1.Lifecycle, spec *corev1.PodSpec) field.ErrorList {
	if l == nil {
		return nil
	}
	var errs field.ErrorList
	hook := func(name string, h *corev1.LifecycleHandler) {
		if h == nil {
			return
		}
		errs = append(errs, handlers(fldPath.Child(name), []check.Source{
			{Name: "exec", Set: h.Exec != nil, Validate: func(at *field.Path) field.ErrorList { return execAction(at, h.Exec) }},
			{Name: "httpGet", Set: h.HTTPGet != nil, Validate: func(at *field.Path) field.ErrorList { return httpGet(at, h.HTTPGet) }},
			{Name: "tcpSocket", Set: h.TCPSocket != nil, Validate: func(at *field.Path) field.ErrorList { return tcpSocket(at, h.TCPSocket) }},
			{Name: "sleep", Set: h.Sleep != nil, Validate: func(at *field.Path) field.ErrorList { return sleep(at, h.Sleep, spec.TerminationGracePeriodSeconds) }},
		})...)
	}
	hook("postStart", l.PostStart)
	hook("preStop", l.PreStop)
	if l.StopSignal != nil {
		errs = append(errs, stopSignal(fldPath.Child("stopSignal"), *l.StopSignal, spec.OS)...)
	}
	return errs
}

func sleep(fldPath *field.Path, s *corev1.SleepAction, grace *int64) field.ErrorList {
	if grace != nil && (s.Seconds < 0 || s.Seconds > *grace) {
		return field.ErrorList{field.Invalid(fldPath, s.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *grace))}
	}
	return nil
}

// stopSignal validates a signal by the names that Linux (signal(7)) and Windows know.
func stopSignal(fldPath *field.Path, s corev1.Signal, os *corev1.PodOS) field.ErrorList {
	switch {
	case os == nil:
		return field.ErrorList{field.Forbidden(fldPath, "may not be set for containers with empty `spec.os.name`")}
	case os.Name == corev1.Windows:
		return check.OneOf(fldPath, s, corev1.SIGKILL, corev1.SIGTERM)
	case os.Name == corev1.Linux:
		return check.OneOf(fldPath, s, linuxSignals()...)
	}
	return nil
}

// linuxSignals returns all signals of Linux, in order of their names.
func linuxSignals() []corev1.Signal {
	list := []corev1.Signal{
		corev1.SIGABRT, corev1.SIGALRM, corev1.SIGBUS, corev1.SIGCHLD, corev1.SIGCLD, corev1.SIGCONT, corev1.SIGFPE, corev1.SIGHUP,
		corev1.SIGILL, corev1.SIGINT, corev1.SIGIO, corev1.SIGIOT, corev1.SIGKILL, corev1.SIGPIPE, corev1.SIGPOLL, corev1.SIGPROF,
		corev1.SIGPWR, corev1.SIGQUIT, corev1.SIGSEGV, corev1.SIGSTKFLT, corev1.SIGSTOP, corev1.SIGSYS, corev1.SIGTERM, corev1.SIGTRAP,
		corev1.SIGTSTP, corev1.SIGTTIN, corev1.SIGTTOU, corev1.SIGURG, corev1.SIGUSR1, corev1.SIGUSR2, corev1.SIGVTALRM,
		corev1.SIGWINCH, corev1.SIGXCPU, corev1.SIGXFSZ, corev1.SIGRTMIN, corev1.SIGRTMAX}
	for i := 1; i <= 15; i++ {
		list = append(list, corev1.Signal(fmt.Sprintf("%s+%d", corev1.SIGRTMIN, i)))
	}
	for i := 1; i <= 14; i++ {
		list = append(list, corev1.Signal(fmt.Sprintf("%s-%d", corev1.SIGRTMAX, i)))
	}
	slices.Sort(list)
	return list
}
