#!/bin/sh
# Makes a release of this tree: docs/releases.md.
#
#   scripts/release.sh VERSION [--dry-run] [--tested]
#
#   --dry-run   checks everything, prints what would be done, and changes nothing
#   --tested    the tests were run for this commit already; else scripts/test.sh --release runs first
#
# Sets the version, dates CHANGELOG.md, commits, makes packages, a source archive, a bill of materials and SHA256SUMS in
# .build/release-VERSION, tags the commit as vVERSION, and commits the version of further development. Pushes nothing.
set -eu
cd "$(dirname "$0")/.."
version=
dry=no
tested=no
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=yes ;;
    --tested) tested=yes ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; exit 0 ;;
    -*) echo "release: unknown option $1 (--help lists them)" >&2; exit 2 ;;
    *) [ -z "$version" ] || { echo "release: one version, please" >&2; exit 2; }; version=$1 ;;
  esac
  shift
done
fail() { echo "release: $*" >&2; exit 1; }

# Semantic Versioning, with the pre-releases that packages can order: 1.0.0, 1.1.0-rc.1.
echo "$version" | grep -Eqx '(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(alpha|beta|rc)\.[1-9][0-9]*)?' ||
  { echo "release: '$version' is no version such as 1.0.0 or 1.1.0-rc.1" >&2; exit 2; }
now=$(scripts/version.sh)
case $now in *-dev) ;; *) fail "this tree has the version $now, not one of development (-dev)" ;; esac
base=${version%%-*}
newest=$(printf '%s\n' "${now%-dev}" "$base" | sort -V | tail -n 1)
[ "$newest" = "$base" ] || fail "$version is lower than that of this tree, $now"
[ -z "$(git status --porcelain)" ] || fail "the tree has changes: commit them first"
if git rev-parse -q --verify "refs/tags/v$version" >/dev/null; then fail "the tag v$version is there already"; fi
notes=$(awk '/^## / { inside = $0 == "## Unreleased" } inside && !/^#/ && NF' CHANGELOG.md)
# After a candidate nothing may be new: its notes are those of the release.
candidate=$(sed -n "s/^## \($base-[a-z]*\.[0-9]*\) - .*/\1/p" CHANGELOG.md | head -n 1)
[ -n "$notes$candidate" ] || fail "CHANGELOG.md has nothing below '## Unreleased'"
day=$(date -u +%Y-%m-%d)
heading="## $version - $day"
if [ -z "$notes" ]; then heading="$heading\n\nAs $candidate."; fi
for tool in dpkg-buildpackage rpmbuild python3; do command -v "$tool" >/dev/null || fail "no $tool: scripts/setup.sh --test"; done
git var GIT_COMMITTER_IDENT >/dev/null

major=${base%%.*}
minor=${base#*.}
minor=${minor%%.*}
case $version in
  *-*) next=$base-dev ;;
  *) next=$major.$((minor + 1)).0-dev ;;
esac
out=.build/release-$version
if [ "$dry" = yes ]; then
  echo "would run the tests: $([ "$tested" = yes ] && echo no, --tested || echo scripts/test.sh --release)"
  echo "would set the version $version in Sources/Server/Process/ServerVersion.swift and date CHANGELOG.md $day"
  echo "would build with the versions of packaging/dependencies.txt, and make $out"
  echo "would tag v$version, and go on as $next"
  exit 0
fi

if [ "$tested" = no ]; then scripts/test.sh --release; fi

set_version() { sed -i "s/static let text = \".*\"/static let text = \"$1\"/" Sources/Server/Process/ServerVersion.swift; }
before=$(git rev-parse HEAD)
undo() { echo "release: failed; nothing is tagged; 'git reset --hard $before' takes the commit back" >&2; }
set_version "$version"
sed -i "s/^## Unreleased\$/## Unreleased\n\n$heading/" CHANGELOG.md
git commit -q -m "release: $version" Sources/Server/Process/ServerVersion.swift CHANGELOG.md
trap undo EXIT

scripts/release-build.sh
packaging/linked.py pins .build/release >.build/pins
cmp -s .build/pins packaging/dependencies.txt ||
  fail "the build has other versions of packages of sources than packaging/dependencies.txt"
rm -rf "$out"
scripts/package.sh --rpm --build .build/release --into "$out"
git archive --format=tar --prefix="bcfg2-swift-$version/" HEAD | gzip -9n >"$out/bcfg2-swift-$version.tar.gz"
rm -f "$out"/*.log
(cd "$out" && find . -type f ! -name SHA256SUMS | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS && sha256sum --quiet -c SHA256SUMS)
git tag -a "v$version" -m "bcfg2-swift $version"
trap - EXIT

set_version "$next"
git commit -q -m "release: go on as $next" Sources/Server/Process/ServerVersion.swift
echo "$out has the release; push it with: git push origin HEAD v$version"
