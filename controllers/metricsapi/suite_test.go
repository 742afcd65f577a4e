package metricsapi

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
)

// One API server with its aggregator serves every test.
var (
	environment *envtest.Environment
	api         client.Client // the administrator's
	operator    client.Client // with the rights that the operator has
	kubeconfig  string        // of the operator
	service     = types.NamespacedName{Namespace: "default", Name: "logpipeline-operator"}
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	aggregationtest.Main(m, func(started *envtest.Environment, config *rest.Config, folder string) (err error) {
		environment, kubeconfig = started, filepath.Join(folder, "operator.kubeconfig")
		if api, err = client.New(config, client.Options{}); err != nil {
			return err
		}
		return asOperator()
	})
}

// asOperator makes a user with the rights that this package says it needs.
func asOperator() error {
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "operator"}}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, ResourceNames: []string{APIServiceName}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
			{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "operator"}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "operator"}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"}},
	} {
		if err := api.Create(context.Background(), object); err != nil {
			return err
		}
	}
	user, err := environment.AddUser(envtest.User{Name: "operator"}, nil)
	if err != nil {
		return err
	}
	if operator, err = client.New(user.Config(), client.Options{}); err != nil {
		return err
	}
	content, err := user.KubeConfig()
	if err != nil {
		return err
	}
	return os.WriteFile(kubeconfig, content, 0o600)
}

func createService(t *testing.T, name types.NamespacedName) {
	t.Helper()
	create(t, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.IgnoreNotFound(api.Delete(context.Background(), object)) })
}
