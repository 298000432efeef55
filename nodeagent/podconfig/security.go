package podconfig

import (
	"fmt"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// User is the default user of an image: UID if not nil, else Name (which may be
// a name that only the image has, or empty for root).
type User struct {
	UID  *int64
	Name string
}

// effective merges the pod's security context under the container's.
func effective(pod *corev1.Pod, c *corev1.Container) corev1.SecurityContext {
	var out corev1.SecurityContext
	if c.SecurityContext != nil {
		out = *c.SecurityContext.DeepCopy()
	}
	sc := pod.Spec.SecurityContext
	if sc == nil {
		return out
	}
	inherit(&out.RunAsUser, sc.RunAsUser)
	inherit(&out.RunAsGroup, sc.RunAsGroup)
	inherit(&out.RunAsNonRoot, sc.RunAsNonRoot)
	inherit(&out.SELinuxOptions, sc.SELinuxOptions)
	inherit(&out.SeccompProfile, sc.SeccompProfile)
	inherit(&out.AppArmorProfile, sc.AppArmorProfile)
	return out
}

func inherit[T any](field **T, from *T) {
	if *field == nil {
		*field = from
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

// verifyNonRoot enforces runAsNonRoot against the user the container would have.
func verifyNonRoot(pod *corev1.Pod, c *corev1.Container, sc *corev1.SecurityContext, user User) error {
	if !isTrue(sc.RunAsNonRoot) {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", c.Name)
	switch {
	case sc.RunAsUser != nil:
		if *sc.RunAsUser == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
	case user.UID != nil && *user.UID == 0, user.UID == nil && user.Name == "":
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	case user.UID == nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", user.Name, where)
	}
	return nil
}

// maskedPaths and readonlyPaths return the paths that are hidden and write-protected by
// default, the runtime's defaults everywhere (see the OCI runtime spec's linux.maskedPaths).
func maskedPaths() []string {
	return []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
}

func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

func containerSecurity(in *ContainerInput) (*runtimeapi.LinuxContainerSecurityContext, error) {
	pod := in.Pod
	sc := effective(pod, in.Container)
	if err := verifyNonRoot(pod, in.Container, &sc, in.ImageUser); err != nil {
		return nil, err
	}
	out := &runtimeapi.LinuxContainerSecurityContext{
		Privileged:               isTrue(sc.Privileged),
		ReadonlyRootfs:           isTrue(sc.ReadOnlyRootFilesystem),
		NoNewPrivs:               sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation,
		NamespaceOptions:         namespaces(pod, in.TargetID),
		SupplementalGroups:       groups(pod, in.ExtraGroups),
		SupplementalGroupsPolicy: groupsPolicy(pod),
		SelinuxOptions:           selinux(sc.SELinuxOptions),
		MaskedPaths:              maskedPaths(),
		ReadonlyPaths:            readonlyPaths(),
	}
	if sc.ProcMount != nil && *sc.ProcMount == corev1.UnmaskedProcMount {
		out.MaskedPaths, out.ReadonlyPaths = nil, nil
	}
	switch {
	case sc.RunAsUser != nil:
		out.RunAsUser = &runtimeapi.Int64Value{Value: *sc.RunAsUser}
	case in.ImageUser.UID != nil:
		out.RunAsUser = &runtimeapi.Int64Value{Value: *in.ImageUser.UID}
	default:
		out.RunAsUsername = in.ImageUser.Name
	}
	if sc.RunAsGroup != nil {
		out.RunAsGroup = &runtimeapi.Int64Value{Value: *sc.RunAsGroup}
	}
	if sc.Capabilities != nil {
		out.Capabilities = &runtimeapi.Capability{}
		for _, c := range sc.Capabilities.Add {
			out.Capabilities.AddCapabilities = append(out.Capabilities.AddCapabilities, strings.TrimPrefix(string(c), "CAP_"))
		}
		for _, c := range sc.Capabilities.Drop {
			out.Capabilities.DropCapabilities = append(out.Capabilities.DropCapabilities, strings.TrimPrefix(string(c), "CAP_"))
		}
	}
	var err error
	if out.Seccomp, err = seccomp(sc.SeccompProfile, in.SeccompDir); err != nil {
		return nil, err
	}
	if in.AppArmor {
		out.Apparmor = apparmor(sc.AppArmorProfile)
	}
	return out, nil
}

func seccomp(p *corev1.SeccompProfile, dir string) (*runtimeapi.SecurityProfile, error) {
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeUnconfined:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}, nil
	case p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}, nil
	case p.LocalhostProfile == nil || *p.LocalhostProfile == "":
		return nil, fmt.Errorf("localhostProfile must be set if seccompProfile type is Localhost")
	}
	return &runtimeapi.SecurityProfile{
		ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: filepath.Join(dir, *p.LocalhostProfile),
	}, nil
}

func apparmor(p *corev1.AppArmorProfile) *runtimeapi.SecurityProfile {
	switch {
	case p == nil:
		return nil
	case p.Type == corev1.AppArmorProfileTypeUnconfined:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
	case p.Type == corev1.AppArmorProfileTypeLocalhost && p.LocalhostProfile != nil:
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: *p.LocalhostProfile}
	}
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
}
