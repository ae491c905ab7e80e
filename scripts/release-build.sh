#!/bin/sh
# Builds for release, so that the same source gives the same programs in every folder: paths of this folder are not in them.
# Packages are made of this build. Arguments go to `swift build`, such as --product bcfg2-server.
#
# A plain `swift build -c release` gives the same code, with paths in the debug information; after it, this builds all again.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
there=/usr/src/bcfg2-swift
# Code that macros make has a path below the folder for temporary files.
temporary=${TMPDIR:-/tmp}
if [ "${temporary%/}" != /tmp ]; then set -- -Xswiftc -debug-prefix-map -Xswiftc "${temporary%/}=/tmp" "$@"; fi

# Without breadcrumbs, debug information does not name the compiler's cache of modules, whose names depend on the folder.
exec swift build -c release \
  -Xswiftc -file-prefix-map -Xswiftc "$here=$there" \
  -Xswiftc -debug-prefix-map -Xswiftc "$here=$there" \
  -Xswiftc -file-compilation-dir -Xswiftc "$there" \
  -Xswiftc -Xfrontend -Xswiftc -no-clang-module-breadcrumbs \
  -Xcc "-ffile-prefix-map=$here=$there" "$@"
