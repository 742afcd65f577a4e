package metricsapi

import (
	"context"
	"encoding/base64"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// APIServiceName is the one object per cluster that says who serves external
// metrics.
const APIServiceName = "v1beta1.external.metrics.k8s.io"

// Ownership says who serves external metrics.
type Ownership string

// The owners.
const (
	// Ours: the APIService points at this operator.
	Ours Ownership = "Ours"
	// Other: it points at another product.
	Other Ownership = "Other"
	// Absent: there is no APIService.
	Absent Ownership = "Absent"
)

// Owner is who serves external metrics in a cluster.
type Owner struct {
	Ownership
	// Service it points at, as namespace/name; empty without one.
	Service string
	// Unavailable is why the API server can't reach it; empty when it can.
	Unavailable string
}

// OwnerOf reads who serves external metrics, given this operator's Service. It
// needs the right to get the APIService.
func OwnerOf(ctx context.Context, reader client.Reader, service types.NamespacedName) (Owner, error) {
	live, err := readAPIService(ctx, reader)
	if apierrors.IsNotFound(err) {
		return Owner{Ownership: Absent}, nil
	}
	if err != nil {
		return Owner{}, fmt.Errorf("read APIService %q: %w", APIServiceName, err)
	}
	return ownerOf(live, service), nil
}

func readAPIService(ctx context.Context, reader client.Reader) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
	err := reader.Get(ctx, types.NamespacedName{Name: APIServiceName}, live)
	return live, err
}

func ownerOf(live *unstructured.Unstructured, service types.NamespacedName) Owner {
	name, _, _ := unstructured.NestedString(live.Object, "spec", "service", "name")
	namespace, _, _ := unstructured.NestedString(live.Object, "spec", "service", "namespace")
	owner := Owner{Ownership: Other, Unavailable: unavailable(live)}
	if name != "" {
		owner.Service = namespace + "/" + name
	}
	if name == service.Name && namespace == service.Namespace {
		owner.Ownership = Ours
	}
	return owner
}

// unavailable is the message of a condition Available that isn't True.
func unavailable(live *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	for _, each := range conditions {
		condition, ok := each.(map[string]any)
		if !ok || condition["type"] != "Available" || condition["status"] == "True" {
			continue
		}
		return fmt.Sprintf("%v: %v", condition["reason"], condition["message"])
	}
	return ""
}

func bundleOf(live *unstructured.Unstructured) []byte {
	text, _, _ := unstructured.NestedString(live.Object, "spec", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return bundle
}

func setBundle(live *unstructured.Unstructured, bundle []byte) error {
	return unstructured.SetNestedField(live.Object, base64.StdEncoding.EncodeToString(bundle), "spec", "caBundle")
}
