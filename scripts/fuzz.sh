#!/bin/sh
# Fuzzes the parsers of untrusted bytes: scripts/fuzz.sh SECONDS [TARGET...]
#
# The targets of the module XMLRPC are files Tests/Fuzz/<Name>Fuzz.swift, those of the other modules are in
# Tests/Fuzz/Server; the corpus of each is in Tests/Fuzz/Corpus/<target>. They are built with address sanitizer, again
# only after a source has changed. New inputs are stored in .build/fuzz; one that traps is written to
# .build/fuzz/crashes: add it to the corpus and to a test.
set -eu

all="http-request xmlrpc basic-auth forwarded-header proxy-header repository-xml probe-data probe-output configuration json regex yaml renderer-frames \
debian-packages mirror-release yum-primary yum-comps yum-modules pacman-database freebsd-catalogue decompressor report-segment pickle \
certificates ignore-file instance-answer tag-message log-record service-environment"
seconds=${1:?usage: scripts/fuzz.sh SECONDS [$(echo $all | tr ' ' '|')]...}
shift
cd "$(dirname "$0")/.."
out=.build/fuzz
mkdir -p "$out/crashes"
# An input of 16 KiB that takes longer, or more memory, is a find: address sanitizer makes the program about ten times
# slower, and keeps freed memory up to the size of its quarantine.
timeout=5
megabytes=1024
# Backtraces of the Swift runtime would delay every report of a crash by seconds.
export SWIFT_BACKTRACE=enable=no
# The tests look for leaks: XCTest and Swift's runtime keep their one-time allocations.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=64

# Builds the target of one file together with the sources of XMLRPC.
build_small() {
  [ -x "$out/$1" ] && [ -z "$(find Sources/XMLRPC Tests/Fuzz/*.swift -name '*.swift' -newer "$out/$1")" ] && return
  swiftc -swift-version 6 -O -module-name Fuzz -sanitize=fuzzer,address -use-ld=lld -parse-as-library \
    -enable-upcoming-feature NonisolatedNonsendingByDefault -package-name fuzz -o "$out/$1" \
    Sources/XMLRPC/*/*.swift Tests/Fuzz/FuzzEntry.swift "Tests/Fuzz/$2.swift"
}

# Builds the program of the targets that need more than XMLRPC.
build_server() {
  [ -n "${built_server:-}" ] && return
  built_server=yes
  swiftc=$(readlink -f "$(command -v swiftc)")
  BCFG2_FUZZ=$(ls "$(dirname "$swiftc")"/../lib/clang/*/lib/linux/libclang_rt.fuzzer_no_main-"$(uname -m)".a | head -n 1)
  export BCFG2_FUZZ
  swift build -c release --scratch-path "$out/package" --sanitize address -Xswiftc -enable-testing --product ServerFuzz
}

for target in ${*:-$all}; do
  case $target in
  http-request) build_small $target HTTPRequestFuzz ;;
  xmlrpc) build_small $target XMLRPCFuzz ;;
  basic-auth) build_small $target BasicAuthFuzz ;;
  forwarded-header) build_small $target ForwardedHeaderFuzz ;;
  *)
    case " $all " in
    *" $target "*) build_server ;;
    *) echo "fuzz.sh: no target $target" >&2; exit 2 ;;
    esac
    ;;
  esac
  case $target in
  http-request | xmlrpc | basic-auth | forwarded-header) set -- "$out/$target" ;;
  *) set -- "$out/package/release/ServerFuzz" $target ;;
  esac
  mkdir -p "$out/corpus-$target"
  echo "== $target, $seconds seconds"
  "$@" -max_total_time="$seconds" -timeout=$timeout -rss_limit_mb=$megabytes -malloc_limit_mb=64 -max_len=16384 \
    -artifact_prefix="$out/crashes/$target-" -print_final_stats=1 \
    "$out/corpus-$target" "Tests/Fuzz/Corpus/$target"
done
