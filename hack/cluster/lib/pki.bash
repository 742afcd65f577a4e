# Keys, certificates and kubeconfigs of one life of the cluster. The names in the
# subjects are those that Kubernetes' bootstrap roles are bound to; see its
# documentation "PKI certificates and requirements".

make_pki() {
  mkdir -p -m 700 "$PKI"
  make_ca ca kubernetes-ca
  make_ca front-proxy-ca front-proxy-ca
  make_key service-accounts
  openssl pkey -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub"

  make_certificate ca apiserver /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$API_SERVICE_ADDRESS,IP:$NODE_ADDRESS"
  make_certificate ca kubelet-server "/O=system:nodes/CN=system:node:$NODE_NAME" serverAuth \
    "DNS:$NODE_NAME,IP:$NODE_ADDRESS,IP:127.0.0.1"
  make_certificate ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  make_certificate front-proxy-ca front-proxy-client /CN=front-proxy-client clientAuth

  make_kubeconfig kube-controller-manager /CN=system:kube-controller-manager
  make_kubeconfig kube-scheduler /CN=system:kube-scheduler
  make_kubeconfig kube-proxy /CN=system:kube-proxy
  make_kubeconfig dns /CN=system:coredns
  make_kubeconfig kubelet "/O=system:nodes/CN=system:node:$NODE_NAME"
  make_kubeconfig admin /O=system:masters/CN=admin
  install -m 600 "$PKI/admin.kubeconfig" "$ADMIN_KUBECONFIG"
}

make_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$PKI/$1.key"; }

make_ca() {
  make_key "$1"
  openssl req -x509 -new -key "$PKI/$1.key" -subj "/CN=$2" -days 365 -out "$PKI/$1.crt" \
    -addext "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
}

# make_certificate CA NAME SUBJECT USAGE [ALTERNATIVE NAMES]
make_certificate() {
  local ca=$1 name=$2 subject=$3 usage=$4 alternatives=${5:-}
  make_key "$name"
  openssl req -new -key "$PKI/$name.key" -subj "$subject" |
    openssl x509 -req -CA "$PKI/$ca.crt" -CAkey "$PKI/$ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 365 \
      -out "$PKI/$name.crt" -extfile <(
        echo "basicConstraints=critical,CA:FALSE"
        echo "keyUsage=critical,digitalSignature,keyEncipherment"
        echo "extendedKeyUsage=$usage"
        [ -z "$alternatives" ] || echo "subjectAltName=$alternatives"
      ) 2>/dev/null
}

# make_kubeconfig NAME SUBJECT: with the certificate inside, so that the file can
# be copied anywhere.
make_kubeconfig() {
  make_certificate ca "$1" "$2" clientAuth
  cat >"$PKI/$1.kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: logpipeline
clusters:
- name: logpipeline
  cluster:
    server: https://$NODE_ADDRESS:6443
    certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$PKI/$1.crt")
    client-key-data: $(base64 -w0 "$PKI/$1.key")
contexts:
- name: logpipeline
  context: {cluster: logpipeline, user: $1}
EOF
}
