#!/usr/bin/env bash
# Fuzzes one target after the other and keeps what reaches new code: ./dev fuzz
#
#   fuzz/run.sh SECONDS [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
all=()
for file in fuzz/targets/*.rs; do all+=("$(basename "$file" .rs)"); done
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
  if [ ! -e "fuzz/targets/$target.rs" ]; then
    echo "there is no target \`$target\`; there are ${all[*]}" >&2
    exit 2
  fi
done

# Longer inputs say nothing that shorter ones do not.
input_bytes_max=8192
# Of one target; tests/corpus.rs has bounds for all of them.
kept_files_max=110
kept_bytes_max=160000

# What libFuzzer is guided by is a pass of LLVM that every rustc has, so that no nightly is needed.
flags=(--cfg fuzzing -Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
flags+=(-Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks)
host=$(rustc -vV | sed -n 's/^host: //p')
out=target/fuzz
echo "building the targets" >&2
# For a named target, so that build scripts and macros are not instrumented.
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR=$out command cargo build --quiet --locked --release \
  --manifest-path fuzz/Cargo.toml --target "$host"

# The last number behind a word of a log.
number() { grep -o "$2[: ]*[0-9]\+" "$1" | tail -1 | grep -o '[0-9]\+$' || echo 0; }
size() { cat "$1"/* 2>/dev/null | wc -c; }
count() { find "$1" -type f | wc -l; }

# Adds to the kept inputs those found ones that reach something new; when they have become too many,
# as few as reach everything take their place.
keep() {
  local binary=$1 kept=$2 found=$3 log=$4
  local options=(-use_counters=0 "-max_len=$input_bytes_max")
  "$binary" -merge=1 "${options[@]}" "$kept" "$found" >>"$log" 2>&1
  if [ "$(count "$kept")" -le $kept_files_max ] && [ "$(size "$kept")" -le $kept_bytes_max ]; then return; fi
  local fewer
  fewer=$(mktemp -d -p "$out")
  "$binary" -set_cover_merge=1 "${options[@]}" "$fewer" "$kept" >>"$log" 2>&1
  # The largest go until the others fit.
  while [ "$(count "$fewer")" -gt $kept_files_max ] || [ "$(size "$fewer")" -gt $kept_bytes_max ]; do
    rm "$fewer/$(ls -S "$fewer" | head -1)"
  done
  rm -r "$kept"
  mv "$fewer" "$kept"
  chmod 755 "$kept"
}

findings=0
printf '%-10s %12s %9s %14s %7s %9s\n' target executions coverage kept-before kept findings
for target in "${targets[@]}"; do
  binary=$out/$host/release/$target
  kept=tests/corpus/$target found=$out/found/$target log=$out/$target.log bad=$out/findings/$target
  mkdir -p "$kept" "$bad"
  rm -rf "$found"
  mkdir -p "$found"
  before=$(count "$kept")
  held=yes
  RUST_BACKTRACE=0 nice "$binary" "-max_total_time=$seconds" "-max_len=$input_bytes_max" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=$bad/" "$found" "$kept" \
    >"$log" 2>&1 || held=no
  if [ $held = yes ]; then keep "$binary" "$kept" "$found" "$log.merge"; fi
  printf '%-10s %12s %9s %14s %7s %9s\n' "$target" \
    "$(number "$log" 'number_of_executed_units:')" "$(number "$log" 'cov:')" \
    "$before" "$(count "$kept")" "$([ $held = yes ] && echo 0 || echo 1)"
  [ $held = no ] || continue
  findings=$((findings + 1))
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
  grep -m1 -A4 -E 'panicked at|ERROR: libFuzzer' "$log" >&2 || tail -5 "$log" >&2
  if [ -n "$input" ]; then
    echo "again: $binary $input" >&2
    echo "in the tests: cp $input $kept/ && cargo test --test corpus" >&2
  else
    echo "no input was written: the stack has overflowed, or memory has run out; see $log" >&2
  fi
done
[ $findings = 0 ]
