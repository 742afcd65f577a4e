# Loading image tars into the node.

# load_images FILE...: each file is read by this shell, because the node's mount
# namespace may not show the folder that it is in.
load_images() {
  local file output
  for file in "$@"; do
    [ -r "$file" ] || fail "cannot read image archive $file"
    output=$(ctr images import --local - <"$file" 2>&1) ||
      fail "containerd refused $file: is it the tar of an image?" "$output"
  done
}

load_pause_image() { load_images "$BUILD/images/pause.tar"; }
