# The node's network: a namespace, a veth pair to the host, and the host's routes
# to pods and Services.

make_network() {
  local in_namespace=(ip -n "$NETWORK_NAMESPACE")
  # As `ip netns add` does it, but without turning /run/netns into a mount.
  make_folder /run/netns
  : >"/run/netns/$NETWORK_NAMESPACE"
  unshare --net="/run/netns/$NETWORK_NAMESPACE" true
  ip link add "$HOST_LINK" type veth peer name eth0 netns "$NETWORK_NAMESPACE"
  ip address add "$HOST_ADDRESS/${NODE_SUBNET#*/}" dev "$HOST_LINK"
  ip link set "$HOST_LINK" up
  "${in_namespace[@]}" link set lo up
  "${in_namespace[@]}" address add "$NODE_ADDRESS/${NODE_SUBNET#*/}" dev eth0
  "${in_namespace[@]}" link set eth0 up
  ip route add "$POD_SUBNET" via "$NODE_ADDRESS"
  ip route add "$SERVICE_SUBNET" via "$NODE_ADDRESS"
  # A process of the node that dials a Service needs some route to it before
  # kube-proxy's rules can rewrite the destination.
  "${in_namespace[@]}" route add "$SERVICE_SUBNET" dev lo src "$NODE_ADDRESS"
  nsenter --net="/run/netns/$NETWORK_NAMESPACE" sysctl -qw net.ipv4.ip_forward=1
}

# remove_network: the routes go with the link, kube-proxy's rules and the pods'
# links with the namespace.
remove_network() {
  ! ip link show "$HOST_LINK" >/dev/null 2>&1 || ip link delete "$HOST_LINK"
  while mountpoint -q "/run/netns/$NETWORK_NAMESPACE"; do umount "/run/netns/$NETWORK_NAMESPACE"; done
  rm -f "/run/netns/$NETWORK_NAMESPACE"
}
