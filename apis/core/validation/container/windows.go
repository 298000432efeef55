package container

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// Limits of Windows' own: see "GMSA" and "user name" in the docs of
// WindowsSecurityContextOptions.
const (
	maxCredentialSpec = 64 * 1024
	maxWindowsUser    = 104
	maxWindowsDomain  = 256
)

// The allowed names of a Windows domain, in NetBIOS or in DNS.
const (
	netBIOSName = `^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`
	windowsDNS  = `^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`
)

func windowsOptions(fldPath *field.Path, w *corev1.WindowsSecurityContextOptions) field.ErrorList {
	if w == nil {
		return nil
	}
	var errs field.ErrorList
	if n := w.GMSACredentialSpecName; n != nil {
		errs = append(errs, check.Invalid(fldPath.Child("gmsaCredentialSpecName"), *n, validation.IsDNS1123Subdomain(*n))...)
	}
	if spec := w.GMSACredentialSpec; spec != nil {
		if *spec == "" {
			errs = append(errs, field.Invalid(fldPath.Child("gmsaCredentialSpec"), *spec, "gmsaCredentialSpec cannot be an empty string"))
		} else if len(*spec) > maxCredentialSpec {
			errs = append(errs, field.Invalid(fldPath.Child("gmsaCredentialSpec"), *spec, "gmsaCredentialSpec size must be under 64 KiB"))
		}
	}
	if w.RunAsUserName != nil {
		errs = append(errs, windowsUser(fldPath.Child("runAsUserName"), *w.RunAsUserName)...)
	}
	return errs
}

func windowsUser(fldPath *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	bad := func(msg string) { errs = append(errs, field.Invalid(fldPath, name, msg)) }
	switch {
	case name == "":
		bad("runAsUserName cannot be an empty string")
		return errs
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		bad("runAsUserName cannot contain control characters")
		return errs
	case strings.Count(name, `\`) > 1:
		bad("runAsUserName cannot contain more than one backslash")
		return errs
	}
	domain, user, split := strings.Cut(name, `\`)
	if !split {
		domain, user = "", name
	}
	if len(domain) >= maxWindowsDomain {
		bad(fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxWindowsDomain))
	}
	if split && !matches(netBIOSName, domain) && !matches(windowsDNS, domain) {
		bad("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
	}
	if user == "" {
		bad("runAsUserName's User cannot be empty")
	} else if len(user) > maxWindowsUser {
		bad(fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxWindowsUser))
	}
	if user != "" && strings.Trim(user, ". ") == "" {
		bad("runAsUserName's User cannot contain only periods or spaces")
	}
	if strings.ContainsAny(user, `"/\:;|=,+*?<>@[]`) {
		bad(`runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`)
	}
	return errs
}

// matches reports whether s matches a pattern that is known to compile.
func matches(pattern, s string) bool {
	ok, _ := regexp.MatchString(pattern, s)
	return ok
}

// HostProcesses validates that containers which are processes of a Windows node are
// so all together, and on the node's network.
func (s *Scope) HostProcesses(spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	var ofPod *bool
	if sc := s.Spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		ofPod = sc.WindowsOptions.HostProcess
	}
	all, host := 0, 0
	pod.VisitContainersWithPath(s.Spec, spec, func(at *field.Path, c *corev1.Container) {
		all++
		own := ofPod
		if sc := c.SecurityContext; sc != nil && sc.WindowsOptions != nil && sc.WindowsOptions.HostProcess != nil {
			own = sc.WindowsOptions.HostProcess
		}
		if ofPod != nil && *own != *ofPod {
			errs = append(errs, field.Invalid(at.Child("securityContext", "windowsOptions", "hostProcess"), *own,
				fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *ofPod)))
		}
		if own != nil && *own {
			host++
		}
	})
	if host > 0 && host != all {
		errs = append(errs, field.Invalid(spec, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
	}
	if host > 0 && !s.Spec.HostNetwork {
		errs = append(errs, field.Invalid(spec.Child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers"))
	}
	return errs
}
