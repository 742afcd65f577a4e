package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
	"github.com/logpipeline/logpipeline/test/await"
)

// installation is what the chart rendered, as the API server has it.
type installation struct {
	name      string // of the release, and of its namespace
	manifests []byte
	objects   []unstructured.Unstructured
	// kubeconfig has a token of the operator's ServiceAccount, and no other
	// credentials.
	kubeconfig string
}

// install applies the chart as one does without Helm, under a new name, until
// the test ends.
func install(t *testing.T, values ...string) *installation {
	t.Helper()
	i := &installation{name: "logpipeline-" + uuid.NewString()[:8]}
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.name}})
	i.manifests = output(t, tool(t, "helm"), append([]string{"template", i.name, chartPath(), "--namespace", i.name}, values...)...)
	i.objects = objects(t, i.manifests)
	i.apply(t)
	t.Cleanup(func() { i.uninstall(t) })
	await.NoError(t, func() error { return api.List(t.Context(), &v1alpha1.LogPipelineList{}) })
	i.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(tokenConfig(i.token(t, i.operator())), i.kubeconfig); err != nil {
		t.Fatal(err)
	}
	i.awaitRights(t)
	return i
}

func (i *installation) operator() string { return i.name + "-operator" }

func (i *installation) apply(t *testing.T) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "administrator")
	if err := os.WriteFile(config, environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), tool(t, "kubectl"), "--kubeconfig", config, "apply", "--server-side", "-f", "-")
	command.Stdin = bytes.NewReader(i.manifests)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// uninstall leaves the CRD, as uninstalling does.
func (i *installation) uninstall(t *testing.T) {
	for _, object := range i.objects {
		if object.GetKind() == "CustomResourceDefinition" {
			continue
		}
		if err := api.Delete(context.Background(), object.DeepCopy()); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	}
}

// token is one of a ServiceAccount in the installation's namespace.
func (i *installation) token(t *testing.T, account string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{}
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: i.name, Name: account}}
	if err := api.SubResource("token").Create(t.Context(), owner, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// newReader is the token of a ServiceAccount that is bound to the chart's role
// for who reads metrics.
func (i *installation) newReader(t *testing.T) (token string) {
	t.Helper()
	const name = "prometheus"
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: i.name, Name: name}})
	create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: i.name + "-" + name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: i.name, Name: name}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: i.name + "-metrics-reader"},
	})
	return i.token(t, name)
}

func tokenConfig(token string) clientcmdapi.Config {
	return clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: environment.Config.Host, CertificateAuthorityData: environment.Config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}
}

// awaitRights waits until the API server goes by each of the operator's
// bindings, which it does a moment after they are written.
func (i *installation) awaitRights(t *testing.T) {
	t.Helper()
	for _, object := range i.objects {
		if object.GetKind() != "RoleBinding" && object.GetKind() != "ClusterRoleBinding" {
			continue
		}
		kind, _, _ := unstructured.NestedString(object.Object, "roleRef", "kind")
		name, _, _ := unstructured.NestedString(object.Object, "roleRef", "name")
		asked := i.aRightOf(t, kind, object.GetNamespace(), name)
		await.NoError(t, func() error {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + i.name + ":" + i.operator(), ResourceAttributes: &asked,
			}}
			if err := api.Create(t.Context(), review); err != nil {
				return err
			}
			if !review.Status.Allowed {
				return fmt.Errorf("%s %s does not allow %+v yet", object.GetKind(), object.GetName(), asked)
			}
			return nil
		})
	}
}

func (i *installation) aRightOf(t *testing.T, kind, namespace, name string) authorizationv1.ResourceAttributes {
	t.Helper()
	if name == "extension-apiserver-authentication-reader" { // the cluster's own
		return authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "get", Resource: "configmaps", Name: "extension-apiserver-authentication"}
	}
	for _, object := range i.objects {
		if object.GetKind() == kind && object.GetNamespace() == namespace && object.GetName() == name {
			rule := decode[rbacv1.ClusterRole](t, []unstructured.Unstructured{object}, kind, name).Rules[0]
			return authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0],
				Name: strings.Join(rule.ResourceNames, ""),
			}
		}
	}
	t.Fatalf("no %s %s in %q, which is bound", kind, name, namespace)
	return authorizationv1.ResourceAttributes{}
}

// route has the API server find the replicas behind the Service, the first one
// that there is.
func (i *installation) route(t *testing.T, replicas ...*replica) {
	t.Helper()
	var backends []string
	for _, r := range replicas {
		backends = append(backends, r.at(metricsAPIPort))
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: i.name, Name: i.operator()}}
	patch(t, service, `{"spec": {"type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null}}`)
	published := &unstructured.Unstructured{}
	published.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
	published.SetName(metricsapi.APIServiceName)
	patch(t, published, fmt.Sprintf(`{"spec": {"service": {"port": %d}}}`, aggregationtest.NewBalancer(t, backends...).Port()))
}

func patch(t *testing.T, object client.Object, merged string) {
	t.Helper()
	if err := api.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(merged))); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}
