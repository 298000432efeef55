package kubeapiserver

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// text is the value of a flag that sets nothing.
type text struct {
	flag  Flag
	given []string
}

var _ pflag.Value = &text{}

// String implements pflag.Value.
func (t *text) String() string {
	if len(t.given) == 0 {
		return t.flag.Default
	}
	return t.given[len(t.given)-1]
}

// Set implements pflag.Value.
func (t *text) Set(value string) error {
	switch t.flag.Type {
	case "bool":
		parsed, err := strconv.ParseBool(value)
		if err != nil {
			return err
		}
		value = strconv.FormatBool(parsed)
	case "duration":
		parsed, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		value = parsed.String()
	case "int", "int64", "uint":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return err
		}
	}
	t.given = append(t.given, value)
	return nil
}

// Type implements pflag.Value.
func (t *text) Type() string { return t.flag.Type }

// addOther adds a flag that no group of honoured ones has.
func (f *Flags) addOther(flag Flag) {
	if f.set.Lookup(flag.Name) != nil || flag.Name == "help" {
		return
	}
	t := &text{flag: flag}
	f.others[flag.Name] = t
	usage := flag.Reason
	if flag.Decision == Warned {
		usage = "no effect: " + usage
	}
	short := ""
	if len(flag.Name) == 1 {
		short = flag.Name
	}
	added := f.set.VarPF(t, flag.Name, short, usage)
	if flag.Type == "bool" || flag.Type == "version" {
		added.NoOptDefVal = "true"
	}
	added.Hidden = flag.Decision != Honoured
}

// checkOthers refuses values of refused flags, and returns a line for each that has
// no effect.
func (f *Flags) checkOthers() ([]string, error) {
	var warnings []string
	for _, flag := range f.list {
		t := f.others[flag.Name]
		if t == nil {
			continue
		}
		for _, value := range t.given {
			if flag.Decision == Refused && !flag.accepts(value) {
				return nil, fmt.Errorf("reading --%s=%s: not supported: %s", flag.Name, value, flag.because())
			}
		}
		if flag.Decision == Warned && len(t.given) > 0 && t.String() != flag.Default {
			warnings = append(warnings, fmt.Sprintf("flag --%s has no effect: %s", flag.Name, flag.because()))
		}
	}
	return warnings, nil
}

// Version returns the value of --version, "" if it was not given.
func (f *Flags) Version() string {
	if t := f.others["version"]; t != nil && len(t.given) > 0 {
		return t.String()
	}
	return ""
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
