// Package v1beta1 is the older version of the sample operator's kind.
package v1beta1

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"

	v1 "github.com/coracle-k8s/coracle/test/operator/api/v1"
)

// GroupVersion of this package.
var GroupVersion = schema.GroupVersion{Group: "sample.coracle.dev", Version: "v1beta1"}

// AddToScheme registers the kind.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &WebApp{}, &WebAppList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// WebAppSpec had the greeting in one piece: "TEXT, NAME".
type WebAppSpec struct {
	Image    string `json:"image"`
	Replicas int32  `json:"replicas,omitempty"`
	Message  string `json:"message,omitempty"`
}

// WebApp is a web server with its configuration.
type WebApp struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   WebAppSpec      `json:"spec,omitempty"`
	Status v1.WebAppStatus `json:"status,omitempty"`
}

// WebAppList is a list of them.
type WebAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WebApp `json:"items"`
}

// ConvertTo implements conversion.Convertible.
func (w *WebApp) ConvertTo(hub conversion.Hub) error {
	to, ok := hub.(*v1.WebApp)
	if !ok {
		return fmt.Errorf("converting a WebApp: got %T", hub)
	}
	text, name, _ := strings.Cut(w.Spec.Message, ", ")
	to.ObjectMeta, to.Status = w.ObjectMeta, w.Status
	to.Spec = v1.WebAppSpec{Image: w.Spec.Image, Replicas: w.Spec.Replicas, Greeting: v1.Greeting{Text: text, Name: name}}
	return nil
}

// ConvertFrom implements conversion.Convertible.
func (w *WebApp) ConvertFrom(hub conversion.Hub) error {
	from, ok := hub.(*v1.WebApp)
	if !ok {
		return fmt.Errorf("converting a WebApp: got %T", hub)
	}
	w.ObjectMeta, w.Status = from.ObjectMeta, from.Status
	w.Spec = WebAppSpec{Image: from.Spec.Image, Replicas: from.Spec.Replicas, Message: from.Spec.Greeting.Text}
	if from.Spec.Greeting.Name != "" {
		w.Spec.Message += ", " + from.Spec.Greeting.Name
	}
	return nil
}

// DeepCopyObject implements runtime.Object.
func (w *WebApp) DeepCopyObject() runtime.Object {
	out := *w
	w.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = make([]metav1.Condition, len(w.Status.Conditions))
	for i := range w.Status.Conditions {
		w.Status.Conditions[i].DeepCopyInto(&out.Status.Conditions[i])
	}
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *WebAppList) DeepCopyObject() runtime.Object {
	out := *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]WebApp, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*WebApp)
	}
	return &out
}
