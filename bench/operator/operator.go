package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
)

// The operator is who its ServiceAccount would be, with the roles that it is
// installed with.
const (
	system       = "logpipeline-system"
	account      = "operator"
	operatorUser = "system:serviceaccount:" + system + ":" + account
	service      = "logpipeline-operator"
)

// startOperator starts the operator with its default settings, and registers
// its metrics API.
func startOperator(ctx context.Context, p *controlPlane, o options) (*process.Process, error) {
	metricsAPI, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	if err := p.install(ctx, o.config, metricsAPI); err != nil {
		return nil, err
	}
	kubeconfig, err := p.kubeconfig(envtest.User{Name: operatorUser, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system}})
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.Setenv("POD_NAME", "operator-0"), os.Setenv("POD_NAMESPACE", system))
	if err != nil {
		return nil, err
	}
	return process.Start(filepath.Join(p.folder, "operator.log"), o.operator,
		"--kubeconfig="+kubeconfig, "--leader-elect", "--log-format=json", "--ingester-image=ingester",
		"--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0", "--pprof-bind-address="+o.pprof,
		"--metrics-api-bind-address="+metricsAPI, "--metrics-api-service="+service)
}

// install is what the chart does, for an operator outside of the cluster.
func (p *controlPlane) install(ctx context.Context, config, metricsAPI string) error {
	_, port, err := net.SplitHostPort(metricsAPI)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	var role rbacv1.ClusterRole
	var election rbacv1.Role
	err = errors.Join(
		readYAML(filepath.Join(config, "rbac/role.yaml"), &role),
		readYAML(filepath.Join(config, "rbac/leader_election_role.yaml"), &election),
	)
	if err != nil {
		return err
	}
	election.Namespace = system
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operatorUser}}
	binding := func(namespace, role string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}}
	}
	return p.create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}},
		&role, &election,
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: service}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}},
		binding(system, election.Name),
		binding("kube-system", "extension-apiserver-authentication-reader"),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: service},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}},
		aggregationtest.APIService(types.NamespacedName{Namespace: system, Name: service}, number),
	)
}

func readYAML(path string, object any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(content, object)
}
