#!/usr/bin/env bash
# A cluster on this machine: coordination, a media driver, and some nodes that share them. It runs until
# Ctrl-C, or until coordination ends. What they log is in the folder.
#
#     run.sh BINARY NODES FOLDER
set -euo pipefail

onyx=$1 nodes=$2 folder=$3
mkdir -p "$folder"
processes=()

stop() {
  trap - EXIT
  # The nodes first, so that they say goodbye; then what they need for that.
  for ((at = ${#processes[@]} - 1; at >= 0; at--)); do
    kill "${processes[$at]}" 2>/dev/null || true
    wait "${processes[$at]}" 2>/dev/null || true
  done
}
trap stop EXIT
trap 'exit 0' INT TERM

# Starts a process, and waits for the line that says it works.
start() {
  local name=$1
  shift
  "$onyx" "$@" >"$folder/$name.out" 2>"$folder/$name.log" &
  processes+=($!)
  until [ -s "$folder/$name.out" ]; do
    if ! kill -0 $! 2>/dev/null; then
      echo "$name has ended: $(tail -n 5 "$folder/$name.log")" >&2
      exit 1
    fi
    sleep 0.05
  done
}

start coordination coordination --listen 127.0.0.1:0 --data-dir "$folder/coordination"
ONYX_COORDINATION__CONNECT=$(grep -o '127\.0\.0\.1:[0-9]*' "$folder/coordination.out" | head -n 1)
export ONYX_COORDINATION__CONNECT
export ONYX_COORDINATION__MODE=zookeeper
export ONYX_HTTP__PORT=0
export ONYX_NODE__PEERS=${ONYX_NODE__PEERS:-4}
export ONYX_MESSAGING__TRANSPORT=aeron
export ONYX_MESSAGING__DRIVER=external
export ONYX_MESSAGING__DRIVER_DIRECTORY=/dev/shm/onyx-cluster-$$
# Small streams: /dev/shm of a container has 64 MB.
export ONYX_MESSAGING__TERM_BYTES=${ONYX_MESSAGING__TERM_BYTES:-1048576}

start media-driver media-driver
urls=()
for ((number = 1; number <= nodes; number++)); do
  start "node-$number" start
  urls+=("$(sed 's/onyx-node listens on //' "$folder/node-$number.out")")
done

echo
echo "A cluster of $nodes nodes with $ONYX_NODE__PEERS peers each works, until Ctrl-C:"
printf '  %s\n' "${urls[@]}"
cat <<EOF
What they log is in $folder. Submit a job to any of them, and ask any other about it:
  $onyx submit $PWD/examples/flights/job.yaml --node ${urls[0]}
  $onyx jobs --node ${urls[$((nodes - 1))]}
  $onyx log tail --connect $ONYX_COORDINATION__CONNECT
Kill a node, or the media driver, with kill -9 while it works, and nothing is lost. A media driver that is
killed is started again here. The processes:
EOF
printf '  media driver: %s\n' "${processes[1]}"
for ((number = 1; number <= nodes; number++)); do
  printf '  node %s: %s\n' "$number" "${processes[$((number + 1))]}"
done
# Nodes may be killed, that is what it is for; without coordination there is no cluster.
while kill -0 "${processes[0]}" 2>/dev/null; do
  if ! kill -0 "${processes[1]}" 2>/dev/null; then
    "$onyx" media-driver >"$folder/media-driver.out" 2>>"$folder/media-driver.log" &
    processes[1]=$!
    echo "the media driver was started again: ${processes[1]}"
  fi
  sleep 1 &
  wait $!
done
echo "coordination has ended: $(tail -n 5 "$folder/coordination.log")" >&2
exit 1
