# One node: its ports, files, process. A node is named N of COUNT: 1of1, or 1of3, 2of3, 3of3. Sourced by ./kafka.

host_port() { echo $((base_port + 10 * (${1%of*} - 1))); }
controller_port() { echo $(($(host_port "$1") + 1)); }
cluster_port() { echo $(($(host_port "$1") + 2)); }
secure_port() { echo $(($(host_port "$1") + 3)); }
cluster_secure_port() { echo $(($(host_port "$1") + 4)); }

properties_of() { echo "$home/run/$1.properties"; }
data_of() { echo "$home/data/$1"; }
log_of() { echo "$home/log/$1.log"; }

nodes_of() {
  local n
  for ((n = 1; n <= $1; n++)); do echo "${n}of$1"; done
}

# property NODE KEY prints a value that the node was started with.
property() { sed -n "s|^$2=||p" "$(properties_of "$1")"; }

# words_of PID prints the process's command line, a word a line; nothing when there is no such process.
words_of() { tr "\0" "\n" <"/proc/$1/cmdline"; } 2>/dev/null

# pid_of prints the node's pid while it runs. The command line tells our node from a stranger that got its old pid.
pid_of() {
  local pid
  pid=$(cat "$home/run/$1.pid" 2>/dev/null) &&
    words_of "$pid" | grep -xF "$(properties_of "$1")" >/dev/null && echo "$pid"
}

running() {
  local node
  for node in $(nodes_of 1) $(nodes_of 3); do
    pid_of "$node" >/dev/null && echo "$node"
  done
  return 0
}

# is_local ADDRESS: does an interface of this network namespace have it?
is_local() {
  awk -v want="$1" '/\|-- / { address = $2 } /host LOCAL/ && address == want { found = 1 } END { exit !found }' /proc/net/fib_trie
}

# render NODE writes the node's configuration to standard output; two that are equal need no restart.
render() {
  local node=$1 count=${1#*of} voters='' peer listeners
  for peer in $(nodes_of "$count"); do
    voters+=,${peer%of*}@127.0.0.1:$(controller_port "$peer")
  done
  listeners=HOST://127.0.0.1:$(host_port "$node"),SECURE://127.0.0.1:$(secure_port "$node")
  is_local "$cluster_ip" &&
    listeners+=,CLUSTER://$cluster_ip:$(cluster_port "$node"),CLUSTER_SECURE://$cluster_ip:$(cluster_secure_port "$node")
  cat "$here/broker.properties" - <<EOF

# Node $node of Kafka $version, with a certificate for $names
node.id=${node%of*}
log.dirs=$(data_of "$node")
controller.quorum.voters=${voters#,}
listeners=$listeners,CONTROLLER://127.0.0.1:$(controller_port "$node")
advertised.listeners=$listeners
default.replication.factor=$count
min.insync.replicas=$(((count + 1) / 2))
offsets.topic.replication.factor=$count
transaction.state.log.replication.factor=$count
transaction.state.log.min.isr=$(((count + 1) / 2))
share.coordinator.state.topic.replication.factor=$count
share.coordinator.state.topic.min.isr=$(((count + 1) / 2))
ssl.keystore.location=$keystore
ssl.keystore.password=$keystore_password
EOF
}

# format makes the node's data directory, once. Nodes of one quorum share a cluster id.
format() {
  local data id
  data=$(data_of "$1")
  [[ -e $data/meta.properties ]] && return
  id=$(sed -n 's/^cluster.id=//p;T;q' "$home/data/"*"of${1#*of}"/meta.properties 2>/dev/null)
  mkdir -p "$data"
  tool kafka.tools.StorageTool format --cluster-id "${id:-$(new_id)}" --config "$(properties_of "$1")" >"$(log_of "$1")" 2>&1 ||
    die "could not format $data: $(tail -1 "$(log_of "$1")")"
}

# new_id makes a Kafka Uuid: 16 bytes in URL-safe base64. (A leading '-' would look like a flag.)
new_id() { printf 'L%s' "$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)"; }

# launch starts the node's process and returns; await_nodes waits for it.
launch() {
  check_ports "$1"
  format "$1"
  setsid "$java" -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.yaml" -Dnode.log="$(log_of "$1")" \
    -cp "$lib/*" kafka.Kafka "$(properties_of "$1")" </dev/null >"$home/log/$1.out" 2>&1 9>&- &
  echo $! >"$home/run/$1.pid"
}

# brokers_seen NODE asks the node for Metadata (version 1, no topics) and prints how many brokers it names, 0 when it
# doesn't answer. A broker is named once the controller has unfenced it, that is, once it serves.
brokers_seen() {
  local reply
  reply=$( (
    exec 3<>"/dev/tcp/127.0.0.1/$(host_port "$1")" || exit
    printf '\0\0\0\16\0\3\0\1\0\0\0\1\377\377\0\0\0\0' >&3
    timeout 2 head -c 12 <&3 | od -An -tu1
  ) 2>/dev/null)
  set -- $reply
  echo "${12:-0}"
}

# port_holder PORT prints the pid that listens on it in this network namespace, "?" when that can't be told.
port_holder() {
  local inode pid
  inode=$(awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }' \
    /proc/net/tcp /proc/net/tcp6)
  [[ -n $inode ]] || return
  pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -1 | cut -d / -f 3)
  echo "${pid:-?}"
}

check_ports() {
  local port pid holder
  for port in "$(host_port "$1")" "$(controller_port "$1")" "$(cluster_port "$1")" "$(secure_port "$1")" "$(cluster_secure_port "$1")"; do
    pid=$(port_holder "$port") || continue
    holder=$(words_of "$pid" | sed -n 's|/run/[13]of[13].properties$||p')
    holder=${holder:+the Kafka of $holder}
    die "port $port is taken by pid $pid (${holder:-$(words_of "$pid" | head -4 | tr '\n' ' ')}): stop that, or choose other ports by KAFKA_HOST_PORT"
  done
}

# await_nodes NODE... waits until every node names all of them.
await_nodes() {
  local node deadline=$((SECONDS + 120))
  for node; do
    until [[ $(brokers_seen "$node") == "$#" ]]; do
      pid_of "$node" >/dev/null || kill -0 "$(cat "$home/run/$node.pid")" 2>/dev/null || give_up "$node" "ended"
      ((SECONDS < deadline)) || give_up "$node" "did not answer within 120 s"
      sleep 0.1
    done
  done
}

give_up() {
  local cause
  cause=$(grep -hE 'ERROR|FATAL|Exception' "$(log_of "$1")" "$home/log/$1.out" | tail -3)
  die "node $1 $2; see $(log_of "$1")${cause:+:$'\n'$cause}"
}

# stop_nodes NODE... ends them all at once: by SIGTERM, after 20 s by SIGKILL.
stop_nodes() {
  local node pid deadline=$((SECONDS + 20))
  for node; do
    pid=$(pid_of "$node") && kill "$pid"
  done
  for node; do
    while pid=$(pid_of "$node"); do
      ((SECONDS < deadline)) || kill -9 "$pid"
      sleep 0.1
    done
    rm -f "$home/run/$node.pid"
  done
}
