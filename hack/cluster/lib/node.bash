# containerd, the kubelet, kube-proxy and DNS.
#
# containerd and the kubelet share a mount namespace (node-mounts makes it) in
# which the standard folders, such as /run/containerd and /var/lib/kubelet, are
# folders of this cluster. So the host's own are left alone, no mount outlives
# the last process, and the paths of Unix sockets (108 bytes at most) stay short
# wherever the checkout is.

# NODE_FOLDERS: where the node sees what, as "standard folder:folder in STATE".
readonly NODE_FOLDERS=(
  /run/containerd:containerd-run
  /var/lib/kubelet:kubelet
  /var/lib/cni:cni
  /var/log/containers:container-logs
  /var/log/pods:pod-logs
)

# The kubelet sets these for the whole machine.
readonly KUBELET_SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
  kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

save_sysctls() {
  sysctl "${KUBELET_SYSCTLS[@]}" 2>/dev/null >"$RECORD/sysctls" || true # not every kernel has all
}
restore_sysctls() { [ ! -s "$RECORD/sysctls" ] || sysctl -qp "$RECORD/sysctls"; }

make_node_folders() {
  local pair
  for pair in "${NODE_FOLDERS[@]}"; do
    mkdir -p "$STATE/${pair#*:}"
    make_folder "${pair%%:*}"
  done
}

write_node_configuration() {
  mkdir -p "$CONFIG/cni"
  render config/containerd.toml >"$CONFIG/containerd.toml"
  render config/kubelet.yaml >"$CONFIG/kubelet.yaml"
  render config/kube-proxy.yaml >"$CONFIG/kube-proxy.yaml"
  render config/cni.conflist >"$CONFIG/cni/10-logpipeline.conflist"
  render config/Corefile >"$CONFIG/Corefile"
  : >"$CONFIG/resolv.conf" # pods resolve the cluster's names and no others
}

start_containerd() {
  local pair binds=()
  for pair in "${NODE_FOLDERS[@]}"; do
    binds+=("$STATE/${pair#*:}" "${pair%%:*}")
  done
  start containerd env PATH="$BIN:$PATH" unshare --mount --propagation slave \
    "$HERE/lib/node-mounts" "${binds[@]}" -- "$BIN/containerd" --config "$CONFIG/containerd.toml"
}

# on_node COMMAND...: runs it where containerd's mounts and sockets are visible.
on_node() { nsenter --mount="/proc/$(pid_of containerd)/ns/mnt" --net="/run/netns/$NETWORK_NAMESPACE" "$@"; }
ctr() { on_node "$BIN/ctr" --namespace k8s.io "$@"; }

await_containerd() { wait_for 30 containerd ctr version; }

start_kubelet() {
  start kubelet nsenter --mount="/proc/$(pid_of containerd)/ns/mnt" env PATH="$BIN:$PATH" \
    "$BIN/kubelet" --config="$CONFIG/kubelet.yaml" --kubeconfig="$PKI/kubelet.kubeconfig" \
    --hostname-override="$NODE_NAME" --node-ip="$NODE_ADDRESS"
}

await_node() {
  wait_for 60 "the node to register" kubectl get node "$NODE_NAME"
  wait_for 60 "the node to become Ready" kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
}

start_kube_proxy() { start kube-proxy "$BIN/kube-proxy" --config="$CONFIG/kube-proxy.yaml"; }

start_dns() {
  render manifests/dns.yaml | kubectl apply -f - >/dev/null
  start dns "$BIN/dns" -conf "$CONFIG/Corefile"
}

await_services() {
  wait_for 30 kube-proxy answers_in_namespace http://127.0.0.1:10256/healthz
  wait_for 30 "cluster DNS" answers_in_namespace http://127.0.0.1:10254/health
}

# answers_in_namespace URL: kubectl is the HTTP client that we have in any case.
answers_in_namespace() {
  nsenter --net="/run/netns/$NETWORK_NAMESPACE" "$BIN/kubectl" --kubeconfig=/dev/null \
    --server="${1%/*}" get --raw "/${1##*/}"
}
