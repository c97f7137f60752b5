#!/usr/bin/env bash
# Drives zkCli.sh, ZooKeeper's own command line, against a server of ours, over a kill -9.
#   zkcli.sh COMMAND…    the command that starts the server, as in: zkcli.sh onyx-node coordination
# ZKCLI names zkCli.sh; without it, the one of Debian's package `zookeeper`.
set -euo pipefail
cli=${ZKCLI:-/usr/share/zookeeper/bin/zkCli.sh}
if [ $# = 0 ]; then sed -n '2,4s/^# //p' "$0" >&2; exit 2; fi
if [ ! -x "$cli" ]; then
  echo "there is no $cli: apt-get install --no-install-recommends zookeeper" >&2
  exit 2
fi

folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

# Answers when the server listens; sets `server` and `address`.
start() {
  : >"$folder/out"
  "$@" --listen 127.0.0.1:0 --data-dir "$folder/data" >"$folder/out" 2>>"$folder/log" &
  server=$!
  until address=$(sed -nE 's/^coordination listens on ([^,]+),.*/\1/p' "$folder/out") && [ -n "$address" ]; do
    if ! kill -0 "$server" 2>/dev/null; then cat "$folder/log" >&2; exit 1; fi
    sleep 0.05
  done
}

# Types a login with the secret of the server, and then standard input, to zkCli.sh.
session() {
  { echo "addauth digest onyx:$(cat "$folder/data/secret")"; cat; } |
    timeout 60 "$cli" -server "$address" >"$folder/said" 2>&1
}

# Every line of standard input, which is a pattern, has to be matched in this order.
expect() {
  local line pattern said="$folder/said"
  exec 3<"$said"
  while IFS= read -r pattern; do
    while true; do
      if ! IFS= read -r line <&3; then
        cat "$said" >&2
        printf '\nzkCli.sh did not say: %s\n' "$pattern" >&2
        exit 1
      fi
      if [[ $line =~ ^$pattern$ ]]; then break; fi
    done
  done
  exec 3<&-
}

start "$@"
# Without the secret nothing is shown.
echo 'ls /' | timeout 60 "$cli" -server "$address" >"$folder/said" 2>&1 || true
expect <<'SAID'
(org\.apache\.zookeeper\.KeeperException\$NoAuthException.*|Insufficient permission : /)
SAID

session <<'CLI'
ls /
create /a one
create -s /a/n- two
create -e /a/e
create -s -e /a/s-
ls /a
get -s /a
set /a three
get /a
stat /a
getAllChildrenNumber /a
getEphemerals /a
create /secret hidden
addauth digest bob:secret
setAcl /secret auth::cdrwa
getAcl /secret
get /secret
whoami
sync /
create /watched
addWatch -m PERSISTENT_RECURSIVE /watched
set /watched seen
create /gone
create /gone/child
deleteall /gone
ls /
quit
CLI
expect <<'SAID'
\[zookeeper\]
Created /a
Created /a/n-0000000000
Created /a/e
Created /a/s-0000000002
\[e, n-0000000000, s-0000000002\]
one
dataVersion = 0
dataLength = 3
numChildren = 3
three
dataVersion = 1
dataLength = 5
3
\[/a/e, /a/s-0000000002\]
Created /secret
'digest,'bob:fyVmFCwVbTJYrznoSu1koqYEYF0=
: cdrwa
hidden
ip: 127\.0\.0\.1
digest: onyx
digest: bob
Sync is OK
Created /watched
Created /gone
Created /gone/child
\[a, secret, watched, zookeeper\]
SAID
expect <<'SAID'
WatchedEvent state:SyncConnected type:NodeDataChanged path:/watched
SAID

{ kill -9 "$server"; wait "$server" || true; } 2>/dev/null
start "$@"
session <<'CLI'
ls /a
get -s /a
create -s /a/n- four
get /secret
addauth digest bob:secret
get /secret
getAcl /secret
quit
CLI
expect <<'SAID'
\[n-0000000000\]
three
dataVersion = 1
Created /a/n-0000000003
(org\.apache\.zookeeper\.KeeperException\$NoAuthException.*|Insufficient permission : /secret)
hidden
'digest,'bob:fyVmFCwVbTJYrznoSu1koqYEYF0=
SAID
kill -TERM "$server"
wait "$server"
server=
echo "zkCli.sh was served, before and after a kill -9"
