package openapi

import (
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
)

func TestMergeRenamesWhatDiffers(t *testing.T) {
	g := NewWithT(t)
	m, err := newMerge([]byte(`{"swagger":"2.0","paths":{"/a":{"x":1}},"definitions":{"Same":{"type":"object"},"Other":{"type":"object"},"io.k8s.apimachinery.pkg.T":{"type":"object"}}}`))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(m.add([]byte(`{"paths":{"/a":{"x":2},"/b":{"$ref":"#/definitions/Other"}},
		"definitions":{"Same":{ "type":"object" },"Other":{"type":"string"},"io.k8s.apimachinery.pkg.T":{"type":"string"},"New":{"$ref":"#/definitions/Other"}}}`))).To(Succeed())
	data, err := m.bytes()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(data).To(MatchJSON(`{"swagger":"2.0","paths":{"/a":{"x":1},"/b":{"$ref":"#/definitions/Other_v2"}},"definitions":{
		"Same":{"type":"object"},"Other":{"type":"object"},"Other_v2":{"type":"string"},"New":{"$ref":"#/definitions/Other_v2"},
		"io.k8s.apimachinery.pkg.T":{"type":"object"}}}`))
}

type fixed map[string]Document

func (f fixed) Documents() map[string]Document { return f }

func TestV2IsMergedOnce(t *testing.T) {
	g := NewWithT(t)
	rendered := 0
	s := sources{list: []Source{fixed{"apis/x/v1": {Hash: "1", V2: func() ([][]byte, error) {
		rendered++
		return [][]byte{[]byte(`{"paths":{"/apis/x/v1/":{}},"definitions":{}}`)}, nil
	}}}}}
	base, err := compress([]byte(`{"paths":{},"definitions":{}}`))
	g.Expect(err).NotTo(HaveOccurred())
	for range 2 {
		data, hash, err := s.v2(base)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(hash).NotTo(BeEmpty())
		plain, err := gunzip(data)
		g.Expect(err).NotTo(HaveOccurred())
		var doc map[string]map[string]any
		g.Expect(json.Unmarshal(plain, &doc)).To(Succeed())
		g.Expect(doc["paths"]).To(HaveKey("/apis/x/v1/"))
	}
	g.Expect(rendered).To(Equal(1))
}
