#!/bin/sh
# Makes Debian packages, with --rpm an RPM of each, and a bill of materials, in .build/packages.
#
#   scripts/package.sh [--rpm] [--fast] [--build FOLDER] [--into FOLDER] [--twice]
#
#   --fast           compresses little, for tests
#   --build FOLDER   takes the programs of this folder, built by scripts/release-build.sh   (default: builds what is not built yet)
#   --into FOLDER    where packages and everything on the way to them go                    (default: .build/packages)
#   --twice          also builds a copy of the tree in another folder, programs and all, and compares the packages byte for byte
#
# The same commit gives the same packages in every folder, on the same system with the same toolchain. Packages of a tree with
# changes have "dirty" in their version, those of a version that is not released yet the commit's date and name.
# Exit status 3: the system has no dpkg-buildpackage and debhelper, or with --rpm no rpmbuild (scripts/setup.sh --test installs them).
set -eu
cd "$(dirname "$0")/.."
top=$(pwd -P)
rpm=no
fast=no
build=
out=$top/.build/packages
twice=no
while [ $# -gt 0 ]; do
  case $1 in
    --rpm) rpm=yes ;;
    --fast) fast=yes ;;
    --build) build=$(cd "${2:?"--build needs a folder"}" && pwd); shift ;;
    --into) mkdir -p "${2:?"--into needs a folder"}"; out=$(cd "$2" && pwd -P); shift ;;
    --twice) twice=yes ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; exit 0 ;;
    *) echo "package: unknown option $1 (--help lists them)" >&2; exit 2 ;;
  esac
  shift
done
for tool in dpkg-buildpackage dh objcopy python3 git; do
  command -v "$tool" >/dev/null || { echo "package: no $tool; scripts/setup.sh --test installs it" >&2; exit 3; }
done
if [ "$rpm" = yes ] && ! command -v rpmbuild >/dev/null; then
  echo "package: no rpmbuild; scripts/setup.sh --test installs it" >&2
  exit 3
fi

version=$(scripts/version.sh)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# A tilde sorts before the release itself.
package=$(echo "$version" | sed 's/-/~/')
case $version in *-dev) package=$package+$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S).g$(git rev-parse --short=8 HEAD) ;; esac
if [ -n "$(git status --porcelain)" ]; then
  [ "$twice" = no ] || { echo "package: --twice needs a tree without changes" >&2; exit 1; }
  case $package in *+*) package=$package.dirty ;; *) package=$package+dirty ;; esac
fi

if [ -z "$build" ]; then
  scripts/release-build.sh
  build=$top/.build/release
fi
built=$("$build/bcfg2-server" --version)
[ "$built" = "bcfg2-server $version" ] || { echo "package: $build has $built, the tree is $version" >&2; exit 1; }

# The tree as it is committed, or as it lies here.
work=$out/bcfg2-swift-$package
mkdir -p "$out"
rm -rf "$out/bcfg2-swift-$package" "$out/rpmbuild"
find "$out" -maxdepth 1 -type f -name 'bcfg2-swift*' -delete
mkdir -p "$work"
case $package in
  *dirty) git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$work" ;;
  *) git archive HEAD | tar -x -C "$work" ;;
esac
ln -s "$build" "$work/release"
cd "$work"
mkdir linked
packaging/linked.py notice release >linked/NOTICE

cp -R packaging/debian debian
packaging/linked.py copyright release >debian/copyright
maintainer=$(sed -n 's/^Maintainer: //p' debian/control)
cat >debian/changelog <<EOF
bcfg2-swift ($package) unstable; urgency=medium

  * Version $version: changelog.gz says what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
of() { case $1 in bcfg2-web*) echo web ;; *) echo server ;; esac; }
for file in packaging/systemd/*.sysusers packaging/systemd/*.tmpfiles; do
  name=$(basename "$file")
  cat "$file" >>"debian/bcfg2-swift-$(of "$name").${name##*.}"
done
for file in packaging/logrotate/*; do cp "$file" "debian/bcfg2-swift-$(of "$(basename "$file")").$(basename "$file").logrotate"; done
for file in packaging/sysv/*.init; do cp "$file" "debian/bcfg2-swift-$(of "$(basename "$file")").$(basename "$file")"; done

# As many threads on every machine: their number can show in the bytes.
DPKG_DEB_THREADS_MAX=2
BCFG2_COMPRESSION=-Zxz
payload=w6.xzdio
if [ "$fast" = yes ]; then
  BCFG2_COMPRESSION="-Zgzip -z1"
  payload=w1.gzdio
fi
PREPARED=$work/prepared
mkdir "$PREPARED"
export DPKG_DEB_THREADS_MAX BCFG2_COMPRESSION PREPARED
dpkg-buildpackage -b -us -uc --no-pre-clean -d >"$out/debian.log" 2>&1 || { cat "$out/debian.log" >&2; exit 1; }

packaging/linked.py sbom release "$PREPARED/sbin" "$version" >"$out/bcfg2-swift-$version.spdx.json"
if [ "$rpm" = yes ]; then
  rpmbuild -bb --define "_topdir $out/rpmbuild" --define "built $work" --define "_binary_payload $payload" --define "number $(echo "$package" | tr -- - '~')" \
    packaging/rpm/bcfg2-swift.spec >"$out/rpm.log" 2>&1 || { cat "$out/rpm.log" >&2; exit 1; }
  mv "$out"/rpmbuild/RPMS/*/*.rpm "$out/"
fi
cd "$top"
rm -rf "$work" "$out/rpmbuild"
find "$out" -maxdepth 1 -type f \( -name '*.deb' -o -name '*.rpm' \) | sort

[ "$twice" = yes ] || exit 0
# A copy elsewhere, of another length of path, with the same packages of sources.
other=$(mktemp -d)/another/folder/bcfg2-swift
mkdir -p "$other/.build"
git archive HEAD | tar -x -C "$other"
git -C "$other" init -q
git -C "$other" -c core.autocrlf=false fetch -q --depth 1 "file://$top" HEAD
git -C "$other" reset -q FETCH_HEAD
cp Package.resolved "$other/"
cp -R .build/checkouts .build/repositories .build/workspace-state.json "$other/.build/"
set --
if [ "$rpm" = yes ]; then set -- "$@" --rpm; fi
if [ "$fast" = yes ]; then set -- "$@" --fast; fi
"$other/scripts/package.sh" "$@"
different=no
for file in "$out"/*.deb "$out"/*.rpm "$out"/*.json; do
  [ -e "$file" ] || continue
  cmp "$file" "$other/.build/packages/$(basename "$file")" || different=yes
done
if [ "$different" = yes ]; then echo "package: the packages differ; the other ones are in $other/.build/packages" >&2; exit 1; fi
rm -rf "${other%/another/folder/bcfg2-swift}"
echo "Built twice, in two folders: the same bytes."
