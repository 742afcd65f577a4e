package metricsapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
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
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: run make test")
	}
	klog.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	folder, err := os.MkdirTemp("", "metricsapi")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	environment = &envtest.Environment{}
	if err := frontProxy(environment, folder); err != nil {
		return 0, err
	}
	config, err := environment.Start()
	if err != nil {
		return 0, fmt.Errorf("start API server: %w", err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	if api, err = client.New(config, client.Options{}); err != nil {
		return 0, err
	}
	kubeconfig = filepath.Join(folder, "operator.kubeconfig")
	if err := asOperator(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// frontProxy gives the aggregator a certificate to show to aggregated servers.
func frontProxy(environment *envtest.Environment, folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(folder, "proxy.crt"), filepath.Join(folder, "proxy.key")
	err = errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
	)
	environment.ControlPlane.GetAPIServer().Configure().
		Append("requestheader-client-ca-file", certFile).
		Append("requestheader-username-headers", "X-Remote-User").
		Append("requestheader-group-headers", "X-Remote-Group").
		Append("requestheader-extra-headers-prefix", "X-Remote-Extra-").
		Append("proxy-client-cert-file", certFile).
		Append("proxy-client-key-file", keyFile)
	return err
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

// balancer plays the Service's part: it forwards connections to the first
// backend that takes them.
type balancer struct {
	listener net.Listener
	backends []string
}

func newBalancer(t *testing.T, backends ...string) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener, backends}
	go b.serve()
	t.Cleanup(func() { _ = listener.Close() })
	return b
}

func (b *balancer) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *balancer) serve() {
	for {
		connection, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.forward(connection)
	}
}

func (b *balancer) forward(connection net.Conn) {
	defer connection.Close()
	for _, backend := range b.backends {
		forwarded, err := net.Dial("tcp", backend)
		if err != nil {
			continue
		}
		defer forwarded.Close()
		done := make(chan struct{}, 2)
		go func() { pipe(forwarded, connection); done <- struct{}{} }()
		go func() { pipe(connection, forwarded); done <- struct{}{} }()
		<-done
		return
	}
}

func pipe(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
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
