package dynamic

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// newCompiler has the variables of a policy compiled.
func newCompiler(variables []admissionv1.Variable, sees cel.OptionalVariableDeclarations) (*cel.CompositedCompiler, error) {
	c, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, fmt.Errorf("failed to initialize CEL compiler: %w", err)
	}
	named := make([]cel.NamedExpressionAccessor, len(variables))
	for i, v := range variables {
		named[i] = &validating.Variable{Name: v.Name, Expression: v.Expression}
	}
	c.CompileAndStoreVariables(named, sees, environment.StoredExpressions)
	return c, nil
}

// newMatcher returns nil without conditions.
func newMatcher(c *cel.CompositedCompiler, conditions []admissionv1.MatchCondition, sees cel.OptionalVariableDeclarations, failure *admissionv1.FailurePolicyType, policy string) matchconditions.Matcher {
	if len(conditions) == 0 {
		return nil
	}
	accessors := make([]cel.ExpressionAccessor, len(conditions))
	for i := range conditions {
		accessors[i] = (*matchconditions.MatchCondition)(&conditions[i])
	}
	// Upstream's metrics name both kinds of policies "validate".
	return matchconditions.NewMatcher(c.CompileCondition(accessors, sees, environment.StoredExpressions), failure, "policy", "validate", policy)
}

// compileValidating keeps errors in the evaluator: they fail requests by the
// policy's failurePolicy.
func compileValidating(p *validating.Policy) validating.Validator {
	sees := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	c, err := newCompiler(p.Spec.Variables, sees)
	if err != nil {
		return validating.NewValidator(nil, nil, nil, nil, p.Spec.FailurePolicy, err)
	}
	checks := make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	messages := make([]cel.ExpressionAccessor, len(p.Spec.Validations)) // nil where a message is fixed
	for i, v := range p.Spec.Validations {
		checks[i] = &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		if v.MessageExpression != "" {
			messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
	}
	audits := make([]cel.ExpressionAccessor, len(p.Spec.AuditAnnotations))
	for i, a := range p.Spec.AuditAnnotations {
		audits[i] = &validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: a.ValueExpression}
	}
	messagesSee := cel.OptionalVariableDeclarations{HasParams: sees.HasParams}
	return validating.NewValidator(
		c.CompileCondition(checks, sees, environment.StoredExpressions),
		newMatcher(c, p.Spec.MatchConditions, sees, p.Spec.FailurePolicy, p.Name),
		c.CompileCondition(audits, sees, environment.StoredExpressions),
		c.CompileCondition(messages, messagesSee, environment.StoredExpressions),
		p.Spec.FailurePolicy, nil)
}

// compileMutating keeps errors in the evaluator, like compileValidating.
func compileMutating(p *mutating.Policy) mutating.PolicyEvaluator {
	sees := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	c, err := newCompiler(p.Spec.Variables, sees)
	if err != nil {
		return mutating.PolicyEvaluator{Error: &apiservercel.Error{Type: apiservercel.ErrorTypeInternal, Detail: err.Error()}}
	}
	patches := sees
	patches.HasPatchTypes = true
	var mutators []patch.Patcher
	for _, m := range p.Spec.Mutations {
		switch {
		case m.PatchType == admissionv1.PatchTypeJSONPatch && m.JSONPatch != nil:
			e := c.CompileMutatingEvaluator(&patch.JSONPatchCondition{Expression: m.JSONPatch.Expression}, patches, environment.StoredExpressions)
			mutators = append(mutators, patch.NewJSONPatcher(e))
		case m.PatchType == admissionv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
			e := c.CompileMutatingEvaluator(&patch.ApplyConfigurationCondition{Expression: m.ApplyConfiguration.Expression}, patches, environment.StoredExpressions)
			mutators = append(mutators, patch.NewApplyConfigurationPatcher(e))
		}
	}
	return mutating.PolicyEvaluator{
		Matcher:  newMatcher(c, p.Spec.MatchConditions, sees, p.Spec.FailurePolicy, p.Name),
		Mutators: mutators, CompositedCompiler: c,
	}
}
