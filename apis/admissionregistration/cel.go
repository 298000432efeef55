package admissionregistration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// plainCompiler compiles what uses no variables. It takes milliseconds and some
// megabytes to make and never changes, so the process has one, made when the
// first expression comes.
var plainCompiler = sync.OnceValue(func() plugincel.Compiler {
	return plugincel.NewCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
})

// expressions compiles the expressions of one object.
type expressions struct {
	// params is set if the object has parameters.
	params bool
	// stored are expressions that the object had before: they may use what this
	// version of Kubernetes reads but does not let new objects use yet.
	stored sets.Set[string]
	// composed compiles with the object's variables; nil without any.
	composed *plugincel.CompositedCompiler
}

// newExpressions makes a compiler for an object that may speak of variables or not.
func newExpressions(params *admissionv1.ParamKind, variables bool, stored sets.Set[string]) (expressions, error) {
	e := expressions{params: params != nil, stored: stored}
	if !variables {
		return e, nil
	}
	var err error
	e.composed, err = plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return e, fmt.Errorf("making a CEL compiler: %w", err)
	}
	return e, nil
}

// expression is one CEL expression, as the library's compiler takes it.
type expression struct {
	name, text string
	types      []*celgo.Type
}

// GetName returns the variable's name.
func (e expression) GetName() string { return e.name }

// GetExpression returns its text.
func (e expression) GetExpression() string { return e.text }

// ReturnTypes returns the types that it may evaluate to.
func (e expression) ReturnTypes() []*celgo.Type { return e.types }

func (e expressions) mode(text string) environment.Type {
	if e.stored.Has(text) {
		return environment.StoredExpressions
	}
	return environment.NewExpressions
}

func (e expressions) compiler() plugincel.Compiler {
	if e.composed != nil {
		return e.composed
	}
	return plainCompiler()
}

// compile reports what is wrong with an expression.
func (e expressions) compile(text string, o plugincel.OptionalVariableDeclarations, path *field.Path, types ...*celgo.Type) field.ErrorList {
	return celErrors(e.compiler().CompileCELExpression(expression{text: text, types: types}, o, e.mode(text)).Error, text, path)
}

// options returns the variables of expressions, except of messages, which have no authorizer.
func (e expressions) options() plugincel.OptionalVariableDeclarations {
	return plugincel.OptionalVariableDeclarations{HasParams: e.params, HasAuthorizer: true}
}

func celErrors(err *cel.Error, text string, path *field.Path) field.ErrorList {
	if err == nil {
		return nil
	}
	switch err.Type {
	case cel.ErrorTypeRequired:
		return field.ErrorList{field.Required(path, err.Detail)}
	case cel.ErrorTypeInvalid:
		return field.ErrorList{field.Invalid(path, text, err.Detail)}
	}
	return field.ErrorList{field.InternalError(path, err)}
}

const maxMatchConditions = 64

func validateMatchConditions(conditions []admissionv1.MatchCondition, e expressions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if n := len(conditions); n > maxMatchConditions {
		errs = append(errs, field.TooMany(path, n, maxMatchConditions))
	}
	// They are evaluated before variables are.
	e.composed = nil
	names := sets.New[string]()
	for i, c := range conditions {
		at := path.Index(i)
		if text := strings.TrimSpace(c.Expression); text == "" {
			errs = append(errs, field.Required(at.Child("expression"), ""))
		} else {
			errs = append(errs, e.compile(text, e.options(), at.Child("expression"), celgo.BoolType)...)
		}
		if c.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
			continue
		}
		errs = append(errs, qualified(c.Name, at.Child("name"))...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
	}
	return errs
}

func qualified(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range utilvalidation.IsQualifiedName(name) {
		errs = append(errs, field.Invalid(path, name, msg))
	}
	return errs
}

// validateVariables compiles the variables in order: each may use those before it.
func validateVariables(variables []admissionv1.Variable, e expressions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, v := range variables {
		at := path.Index(i)
		if strings.TrimSpace(v.Name) == "" {
			errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
		} else if !isIdentifier(v.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
		}
		if strings.TrimSpace(v.Expression) == "" {
			errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
			continue
		}
		if e.composed == nil {
			errs = append(errs, field.InternalError(at, errors.New("variable composition is not allowed")))
			continue
		}
		variable := expression{name: v.Name, text: v.Expression, types: []*celgo.Type{celgo.AnyType, celgo.DynType}}
		result := e.composed.CompileAndStoreVariable(variable, e.options(), e.mode(v.Expression))
		errs = append(errs, celErrors(result.Error, v.Expression, at.Child("expression"))...)
	}
	return errs
}

var identifier = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

// isIdentifier follows the grammar of CEL: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax.
func isIdentifier(name string) bool {
	reserved := []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
		"loop", "package", "namespace", "return", "var", "void", "while"}
	return identifier.MatchString(name) && !slices.Contains(reserved, name)
}
