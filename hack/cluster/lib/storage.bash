# Persistent volumes. The node has no dynamic provisioner; a default StorageClass
# and a stock of local volumes stand in, so that claims without a class bind here
# as they do on kind.

make_storage() {
  local n
  render manifests/storage-class.yaml | kubectl apply -f - >/dev/null
  for n in $(seq "$VOLUMES"); do
    make_volume_folder "$n"
    volume_manifest "$n"
  done | kubectl apply -f - >/dev/null
}

make_volume_folder() {
  mkdir -p "$STATE/volumes"
  rm -rf "${STATE:?}/volumes/$1"
  install -d -m 775 -o "$VOLUME_OWNER" -g "$VOLUME_OWNER" "$STATE/volumes/$1"
}

volume_manifest() {
  echo ---
  render manifests/volume.yaml | sed "s|@N@|$1|g"
}

# recycle_volumes: a claim that was deleted leaves its volume Released, which
# nothing binds again. The data goes, the volume starts anew.
recycle_volumes() {
  local name n
  for name in $(released_volumes); do
    n=${name##*-}
    kubectl delete persistentvolume "$name" --timeout=30s >/dev/null
    make_volume_folder "$n"
    volume_manifest "$n" | kubectl apply -f - >/dev/null
    echo "recycled $name"
  done
}

released_volumes() {
  kubectl get persistentvolumes -l "logpipeline.io/stock=local" \
    -o jsonpath='{range .items[?(@.status.phase=="Released")]}{.metadata.name}{"\n"}{end}'
}
