# Names, addresses and folders: what the other parts agree on.

# The node lives in a network namespace of its own. A veth pair joins it to the
# host; there is no default route and the host forwards nothing, so that nothing
# in the cluster reaches further than this machine.
readonly NETWORK_NAMESPACE=logpipeline
readonly HOST_LINK=lp-host
readonly HOST_ADDRESS=10.245.0.1
readonly NODE_ADDRESS=10.245.0.2
readonly NODE_SUBNET=10.245.0.0/24
readonly POD_SUBNET=10.244.0.0/24
readonly SERVICE_SUBNET=10.96.0.0/16
readonly API_SERVICE_ADDRESS=10.96.0.1
readonly DNS_SERVICE_ADDRESS=10.96.0.10
readonly NODE_NAME=logpipeline-node
readonly PAUSE_IMAGE=logpipeline.local/pause:1

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ip, nft and sysctl
REPOSITORY=$(cd "$HERE/../.." && pwd -P)
BUILD=$(realpath -m "${BUILD:-$REPOSITORY/.build}")
readonly REPOSITORY BUILD
readonly BIN=$BUILD/bin
readonly STATE=$BUILD/cluster
readonly LOGS=$STATE/logs
readonly PKI=$STATE/pki
readonly CONFIG=$STATE/config
readonly ADMIN_KUBECONFIG=$STATE/kubeconfig

# One such cluster runs per machine, whatever checkout it is from. This folder
# records whose it is, what was started and what is to be put back; it outlives a
# reboot and the checkout.
readonly RECORD=/var/lib/logpipeline-cluster

# In the order of their start.
readonly COMPONENTS=(etcd kube-apiserver containerd kube-controller-manager kube-scheduler kubelet kube-proxy dns)

readonly VOLUMES=8
readonly VOLUME_SIZE=10Gi
readonly VOLUME_OWNER=65532

kubectl() { "$BIN/kubectl" --kubeconfig="$ADMIN_KUBECONFIG" "$@"; }

# render FILE: a configuration or manifest of this folder with its @NAMES@
# replaced by the values above.
render() {
  local name expressions=()
  for name in NETWORK_NAMESPACE NODE_ADDRESS POD_SUBNET SERVICE_SUBNET DNS_SERVICE_ADDRESS NODE_NAME \
    PAUSE_IMAGE BIN STATE PKI CONFIG CGROUP VOLUME_SIZE; do
    expressions+=(-e "s|@$name@|${!name}|g")
  done
  sed "${expressions[@]}" "$HERE/$1"
}
