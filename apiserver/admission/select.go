package admission

import (
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
)

// Selection configures a chain's plugins and their configurations. The zero
// value is upstream's default.
type Selection struct {
	// Enable and Disable name plugins as upstream does; NewSelection refuses
	// unknown names. A plugin named by both is on.
	Enable, Disable []string
	// Config gives a plugin's configuration, nil if it has none. It may be nil.
	Config func(plugin string) (io.Reader, error)
}

// NewSelection checks the names and reads file, an AdmissionConfiguration;
// without a name there is none. Errors name the fields of the configuration.
func NewSelection(enable, disable []string, file string) (Selection, error) {
	s := Selection{Enable: enable, Disable: disable}
	known := Names()
	var errs field.ErrorList
	check := func(names []string, at *field.Path) {
		for i, name := range names {
			if !slices.Contains(known, name) {
				errs = append(errs, field.NotSupported(at.Index(i), name, known))
			}
		}
	}
	check(enable, field.NewPath("enablePlugins"))
	check(disable, field.NewPath("disablePlugins"))
	if len(errs) > 0 {
		return s, errs.ToAggregate()
	}
	if file == "" {
		return s, nil
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	configs, err := admission.ReadAdmissionConfiguration(known, file, scheme)
	if err != nil {
		return s, fmt.Errorf("configFile: %w", err)
	}
	s.Config = configs.ConfigFor
	return s, nil
}

func (s Selection) has(p plugin) bool {
	if slices.Contains(s.Enable, p.name) {
		return true
	}
	return !p.off && !slices.Contains(s.Disable, p.name)
}

func (s Selection) config(name string) (io.Reader, error) {
	if s.Config == nil {
		return nil, nil
	}
	r, err := s.Config(name)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of the admission plugin %s: %w", name, err)
	}
	return r, nil
}
