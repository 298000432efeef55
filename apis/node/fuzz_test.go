package node_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/node"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(node.ValidateRuntimeClass, node.ValidateRuntimeClassUpdate),
	)
}
