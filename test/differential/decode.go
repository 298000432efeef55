package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	restwatch "k8s.io/client-go/rest/watch"
	"sigs.k8s.io/yaml"
)

// decoder reads answers of all media types as what JSON has.
type decoder struct {
	scheme   *runtime.Scheme
	protobuf *protobuf.Serializer
	frames   *protobuf.RawSerializer
}

func newDecoder(scheme *runtime.Scheme) (*decoder, error) {
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering partial metadata: %w", err)
	}
	return &decoder{scheme: scheme, protobuf: protobuf.NewSerializer(scheme, scheme), frames: protobuf.NewRawSerializer(scheme, scheme)}, nil
}

// body returns an answer as decoded JSON, or as text if it is none.
func (d *decoder) body(contentType string, data []byte) any {
	var v any
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return string(data)
	}
	switch media {
	case runtime.ContentTypeJSON:
		err = json.Unmarshal(data, &v)
	case runtime.ContentTypeYAML:
		if data, err = yaml.YAMLToJSON(data); err == nil {
			err = json.Unmarshal(data, &v)
		}
	case runtime.ContentTypeProtobuf:
		var obj runtime.Object
		if obj, err = runtime.Decode(d.protobuf, data); err == nil {
			v, err = asJSON(obj)
		}
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return string(data)
	}
	return v
}

func asJSON(obj runtime.Object) (v any, err error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	return v, json.Unmarshal(data, &v)
}

// events reads those of a watch until the one with version.
func (d *decoder) events(contentType string, stream io.ReadCloser, version string) (any, error) {
	next := d.jsonEvents(stream)
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == runtime.ContentTypeProtobuf {
		next = d.protobufEvents(stream)
	}
	var out []any
	for {
		event, err := next()
		if err != nil {
			return out, fmt.Errorf("reading a watch after %d events: %w", len(out), err)
		}
		if event["type"] == "BOOKMARK" {
			continue // they come by time
		}
		out = append(out, event)
		data, err := json.Marshal(event)
		if err != nil {
			return out, err
		}
		if event["type"] == "ERROR" || bytes.Contains(data, []byte(`"resourceVersion":"`+version+`"`)) {
			return out, nil
		}
	}
}

func (d *decoder) jsonEvents(stream io.Reader) func() (map[string]any, error) {
	events := json.NewDecoder(stream)
	return func() (event map[string]any, err error) {
		return event, events.Decode(&event)
	}
}

func (d *decoder) protobufEvents(stream io.ReadCloser) func() (map[string]any, error) {
	events := restwatch.NewDecoder(streaming.NewDecoder(protobuf.LengthDelimitedFramer.NewFrameReader(stream), d.frames), d.protobuf)
	return func() (map[string]any, error) {
		kind, obj, err := events.Decode()
		if err != nil {
			return nil, err
		}
		object, err := asJSON(obj)
		return map[string]any{"type": string(kind), "object": object}, err
	}
}
