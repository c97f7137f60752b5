#!/usr/bin/env bash
# Runs the test suite of kazoo, from its source package, against a server of ours.
#   kazoo.sh COMMAND…    the command that starts the server, as in: kazoo.sh onyx-node coordination
# A virtual environment is made in a temporary folder, or kept in $KAZOO_HOME when that is set.
set -euo pipefail
version=2.11.0
here=$(cd "$(dirname "$0")" && pwd)
if [ $# = 0 ]; then sed -n '2,4s/^# //p' "$0" >&2; exit 2; fi

home=${KAZOO_HOME:-}
if [ -z "$home" ]; then
  home=$(mktemp -d)
  trap 'rm -rf "$home"' EXIT
fi
if [ ! -x "$home/venv/bin/pytest" ]; then
  python3 -m venv "$home/venv"
  pip=("$home/venv/bin/pip" --disable-pip-version-check --quiet)
  "${pip[@]}" download --no-binary :all: --no-deps --dest "$home" "kazoo==$version"
  # What its own tests ask for; later versions of pyOpenSSL lack what they call.
  "${pip[@]}" install "$home/kazoo-$version.tar.gz" \
    pytest pytest-timeout objgraph gevent eventlet pyjks 'pyopenssl<24'
fi

# Which tests failed, by file and name.
results=$home/results.txt
SERVER="$*" PYTHONPATH=$here "$home/venv/bin/python" -m pytest -p kazoo_server -p no:cacheprovider \
  --timeout 120 -W ignore --tb=short -q -rfEs --pyargs kazoo.tests >"$results" 2>&1 || true
# Threads that outlive the suite may have the last word.
if ! grep -E '^[0-9]+ (failed|passed)' "$results"; then
  tail -n 40 "$results" >&2
  echo "the suite did not run to its end" >&2
  exit 1
fi
failed=$(sed -nE 's/^(FAILED|ERROR) (.*\/)?(test_[a-z_]+\.py::[^ ]+).*/\3/p' "$results" | LC_ALL=C sort -u)
expected=$(sed -nE 's/^(test_[^ ]+).*/\1/p' "$here/kazoo_unsupported.txt" | LC_ALL=C sort -u)
if ! diff <(echo "$expected") <(echo "$failed") >"$home/difference.txt"; then
  grep -E '^E  |^____' "$results" >&2 || true
  echo "< should fail and does not, > fails and should not:" >&2
  grep '^[<>]' "$home/difference.txt" >&2
  exit 1
fi
echo "every test that failed needs what is declared unsupported"
