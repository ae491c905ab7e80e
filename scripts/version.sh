#!/bin/sh
# Prints the version of this source: that of Sources/Server/Process/ServerVersion.swift, the only place that has it.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/.*static let text = "\(.*\)"$/\1/p' Sources/Server/Process/ServerVersion.swift)
[ -n "$version" ] || { echo "version: none in Sources/Server/Process/ServerVersion.swift" >&2; exit 1; }
echo "$version"
