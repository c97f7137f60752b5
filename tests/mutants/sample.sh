#!/usr/bin/env bash
# A random sample of the mutants of the layers without IO, each tried against the library's own tests:
# tests/mutants/sample.sh SAMPLE SEED
set -euo pipefail
sample=$1 seed=$2
echo "seed $seed: ./dev mutants --sample $sample --seed $seed gives the same sample" >&2

files=() tests=()
for layer in ids codec job replica scheduler log acking; do
  files+=(--file "src/$layer.rs" --file "src/$layer/**")
  tests+=("$layer::")
done
# What only people read, and what tests are made with, is no rule. Whether a key was foreseen, and whether
# a peer is free so that no path has to be looked for, changes nothing but the time that is taken.
except=(--exclude 'src/**/sample.rs' --exclude 'src/**/laws.rs' --exclude-re 'impl (Debug|fmt::Debug|Display|fmt::Display)|take_foreseen|free_rank')

# Dependencies are not built once more for the copy in which mutants are made.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# Nobody looks at one with a debugger.
export CARGO_PROFILE_DEV_DEBUG=0

# Most mutants are noticed by a quick test.
host=$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
export "CARGO_TARGET_${host}_RUNNER=$PWD/tests/mutants/runner.sh"

# A mutant that laws notice at all is mostly noticed in a few cases of theirs.
export PROPTEST_CASES=64

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
all=$(cargo mutants --list "${files[@]}" "${except[@]}" | wc -l)

# Every so-manieth of all mutants, from a random one on: every layer has its share.
# A tenth of them does not compile.
drawn=$((sample * 6 / 5))
every=$((all / drawn > 0 ? all / drawn : 1))
shard=$((seed % every))/$every
echo "one of $every of $all mutants" >&2

# Survivors are no error of the tool's, which then ends with 2; a time-out is a mutant that was caught.
cargo mutants "${files[@]}" "${except[@]}" --shard "$shard" --sharding round-robin --output "$out" \
  --jobs 1 --baseline run --cap-lints true --timeout-multiplier 4 --minimum-test-timeout 120 \
  --cargo-arg=--lib -- -- "${tests[@]}" || [ $? -le 3 ]

count() { wc -l <"$out/mutants.out/$1.txt"; }
caught=$(count caught) timeout=$(count timeout) missed=$(count missed) unviable=$(count unviable)
tried=$((caught + timeout + missed))
printf 'caught %s, timed out %s, missed %s, not compilable %s\n' "$caught" "$timeout" "$missed" "$unviable"
sed 's/^/missed: /' "$out/mutants.out/missed.txt"
[ "$tried" -gt 0 ] || { echo "nothing was tried" >&2; exit 1; }
share=$((100 * (caught + timeout) / tried))
printf '%s %% of %s caught (target 90 %%)\n' "$share" "$tried"
[ "$share" -ge 90 ]
