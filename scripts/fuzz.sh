#!/bin/sh
# Fuzzes the parsers of untrusted bytes: scripts/fuzz.sh SECONDS [TARGET]
#
# A target is a file Tests/Fuzz/<Name>Fuzz.swift with its corpus in Tests/Fuzz/Corpus/<target>. Inputs found on the way
# are kept in .build/fuzz; one that traps is written to .build/fuzz/crashes: add it to the corpus and to a test.
set -eu

seconds=${1:?usage: scripts/fuzz.sh SECONDS [http-request|xmlrpc|basic-auth]}
targets=${2:-"http-request xmlrpc basic-auth"}
cd "$(dirname "$0")/.."
out=.build/fuzz
mkdir -p "$out/crashes"
# Backtraces of the Swift runtime would delay every report of a crash by seconds.
export SWIFT_BACKTRACE=enable=no

for target in $targets; do
  case $target in
  http-request) source=HTTPRequestFuzz ;;
  xmlrpc) source=XMLRPCFuzz ;;
  basic-auth) source=BasicAuthFuzz ;;
  *) echo "fuzz.sh: no target $target" >&2; exit 2 ;;
  esac
  swiftc -swift-version 6 -O -module-name Fuzz -sanitize=fuzzer,address -use-ld=lld -parse-as-library \
    -enable-upcoming-feature NonisolatedNonsendingByDefault -o "$out/$target" \
    Sources/XMLRPC/*.swift Tests/Fuzz/FuzzEntry.swift "Tests/Fuzz/$source.swift"
  mkdir -p "$out/corpus-$target"
  echo "== $target, $seconds seconds"
  "$out/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
    -artifact_prefix="$out/crashes/$target-" -print_final_stats=1 \
    "$out/corpus-$target" "Tests/Fuzz/Corpus/$target"
done
