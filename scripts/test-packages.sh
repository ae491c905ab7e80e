#!/bin/sh
# Makes packages and tries them in a small Debian of its own: installation, a server that answers, upgrades from an earlier version and
# from Bcfg2's package, removal, purge. Compares the packages of two folders byte for byte.
#
#   scripts/test-packages.sh [BUILD [FOLDER]]
#
# BUILD is the folder of the programs (default: .build/release, built by scripts/release-build.sh if it is not up to date). FOLDER gets
# the Debian packages, for other tests of them. The small Debian is kept in .build/debian-root.tar for the next time. Needs root, for chroot, and a mirror of Debian: exit status 3 without.
set -eu
cd "$(dirname "$0")/.."
top=$(pwd -P)
if [ "$(id -u)" != 0 ]; then
  echo "test-packages: chroot needs root" >&2
  exit 3
fi
for tool in debootstrap dpkg-buildpackage dh lintian rpmbuild; do
  command -v "$tool" >/dev/null || { echo "test-packages: no $tool; scripts/setup.sh --test installs it" >&2; exit 3; }
done
if [ $# -gt 0 ]; then
  build=$(cd "$1" && pwd)
else
  scripts/release-build.sh
  build=$top/.build/release
fi
kept=${2:-}
if [ -n "$kept" ]; then rm -f "$kept"/bcfg2-swift-*.deb; fi
cached=$top/.build/debian-root.tar
folder=$(mktemp -d)
root=$folder/root
end() {
  status=$?
  # Whatever still runs in there: the server, if a check failed.
  for link in /proc/[0-9]*/root; do
    case $(readlink "$link" 2>/dev/null || true) in "$root" | "$root"/*) pid=${link#/proc/}; kill -KILL "${pid%/root}" 2>/dev/null || true ;; esac
  done
  if mountpoint -q "$root/proc"; then umount -l "$root/proc"; fi
  rm -rf --one-file-system "$folder"
  case $status in 0 | 3) ;; *) echo "test-packages: failed" >&2 ;; esac
}
trap end EXIT
say() { echo "packages: $*"; }
fail() { echo "packages: $*" >&2; exit 1; }

say "a release after its candidate"
base=$(scripts/version.sh | sed 's/-.*//')
released=$folder/release
mkdir -p "$released/scripts" "$released/Sources/Server/Process"
cp scripts/release.sh scripts/version.sh "$released/scripts/"
echo "  public static let text = \"$base-dev\"" >"$released/Sources/Server/Process/ServerVersion.swift"
says() { # CHANGELOG.md: would it be released?
  printf '%b' "$1" >"$released/CHANGELOG.md"
  GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.com
  export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
  [ -d "$released/.git" ] || git init -q "$released"
  git -C "$released" add -A
  git -C "$released" commit -q -m test
  "$released/scripts/release.sh" "$base" --dry-run >"$folder/release.log" 2>&1
}
says "## Unreleased\n\n### Added\n\n- something\n" || fail "release.sh: $(cat "$folder/release.log")"
says "## Unreleased\n\n## $base-rc.1 - 2000-01-01\n\n- something\n" || fail "release.sh: $(cat "$folder/release.log")"
if says "## Unreleased\n\n## 0.0.1 - 2000-01-01\n\n- something\n"; then fail "release.sh releases nothing new"; fi
rm -rf "$released"

say "packages of two folders, from one build"
scripts/package.sh --fast --rpm --build "$build" --into "$folder/a" >/dev/null
scripts/package.sh --fast --rpm --build "$build" --into "$folder/another/folder" >/dev/null
for file in "$folder"/a/*.deb "$folder"/a/*.rpm; do
  cmp "$file" "$folder/another/folder/$(basename "$file")" || fail "the same tree gives different packages"
done
rm -rf "$folder/another"
if [ -n "$kept" ]; then
  mkdir -p "$kept"
  cp "$folder"/a/*.deb "$kept/"
fi

say "lintian"
lintian --fail-on error "$folder"/a/bcfg2-swift-server_*.deb "$folder"/a/bcfg2-swift-tools_*.deb \
  "$folder"/a/bcfg2-swift-web_*.deb || fail "lintian has errors"

say "contents"
dpkg-deb -c "$folder"/a/bcfg2-swift-server_*.deb | awk '{ print $6 }' >"$folder/deb.server"
for path in usr/sbin/bcfg2-server usr/sbin/bcfg2-packages usr/sbin/bcfg2-report-collector lib/systemd/system/bcfg2-server.service \
  etc/init.d/bcfg2-server etc/logrotate.d/bcfg2-server etc/logcheck/ignore.d.server/bcfg2-swift-server; do
  grep -qx "./$path" "$folder/deb.server" || fail "the package of the server has no $path"
done
rpm -qlp "$folder"/a/bcfg2-swift-server-[0-9]*.rpm 2>/dev/null >"$folder/rpm.server"
rpm -qlp "$folder"/a/bcfg2-swift-tools-[0-9]*.rpm 2>/dev/null >"$folder/rpm.tools"
rpm -qlp "$folder"/a/bcfg2-swift-web-[0-9]*.rpm 2>/dev/null >"$folder/rpm.web"
for path in /usr/sbin/bcfg2-server /usr/lib/systemd/system/bcfg2-server.service /usr/lib/sysusers.d/bcfg2-server.conf \
  /etc/sysconfig/bcfg2-server /usr/share/man/man8/bcfg2-server.8.gz /var/lib/bcfg2; do
  grep -qx "$path" "$folder/rpm.server" || fail "the RPM of the server has no $path"
done
grep -qx /usr/share/bcfg2-swift/schemas/common.xsd "$folder/rpm.tools" || fail "the RPM of the tools has no schemas"
grep -qx /usr/lib/systemd/system/bcfg2-web.service "$folder/rpm.web" || fail "the RPM of the report pages has no unit"
[ "$(cat "$folder"/rpm.* | grep -c '^/usr/sbin/')" = 10 ] || fail "the RPMs have not ten programs"

[ -e "$cached" ] || say "a small Debian"
# What the packages recommend for this test comes along.
scripts/debian-root.sh "$cached" "$folder/a" systemd-standalone-sysusers openssl python3 python3-genshi python3-lxml

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# A new root with the packages of folder a in /packages.
fresh() {
  if mountpoint -q "$root/proc"; then umount -l "$root/proc"; fi
  rm -rf --one-file-system "$root"
  mkdir "$root"
  tar -C "$root" -xf "$cached"
  mount -t proc proc "$root/proc" || { echo "test-packages: nothing can be mounted here" >&2; exit 3; }
  mkdir "$root/packages"
  cp "$folder"/a/*.deb "$root/packages/"
  echo "127.0.0.1 localhost" >"$root/etc/hosts"
  # There is no init system, but maintainer scripts may use init scripts.
  printf '#!/bin/sh\nexit 0\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
}
install_all() { in_root sh -c 'dpkg -i /packages/bcfg2-swift-[stw]*.deb' >"$folder/dpkg.log" 2>&1 || { cat "$folder/dpkg.log" >&2; fail "dpkg -i"; }; }
# Starts the server by its init script, asks it, and leaves it running.
answers() {
  in_root /etc/init.d/bcfg2-server start >"$folder/start.log" 2>&1 || { cat "$folder/start.log" >&2; fail "the server does not start"; }
  in_root bcfg2-admin xcmd get_statistics >"$folder/xcmd" 2>&1 || { cat "$folder/xcmd" >&2; fail "the server does not answer"; }
}
stopped() { in_root /etc/init.d/bcfg2-server stop >/dev/null; }
state() { in_root sh -c 'cd / && find etc/default/bcfg2-server etc/bcfg2.* etc/ssl/bcfg2.* var/lib/bcfg2 -type f ! -path "*/Packages/cache/*" \
  -exec sha256sum {} + -exec stat -c "%n %a %U" {} + | sort'; }

say "installation"
fresh
install_all
for page in bcfg2-server.8 bcfg2-admin.8 bcfg2-web.8; do
  [ -s "$root/usr/share/man/man8/$page.gz" ] || fail "no manual page $page"
done
[ -s "$root/usr/share/man/man5/bcfg2.conf.5swift.gz" ] || fail "no bcfg2.conf(5)"
for program in admin crypt info lint packages report-collector reports server test web; do
  in_root "bcfg2-$program" --version | grep -qx "bcfg2-$program $(scripts/version.sh)" || fail "bcfg2-$program --version"
done
in_root getent passwd _bcfg2 >/dev/null || fail "no user _bcfg2"
[ ! -e "$root/etc/bcfg2.conf" ] || fail "the package made a bcfg2.conf"
in_root bcfg2-admin init --batch --hostname localhost --server https://localhost:6789 >"$folder/init" 2>&1 ||
  { cat "$folder/init" >&2; fail "bcfg2-admin init"; }
answers
# A template renders: /usr/bin/python3 and Genshi of this Debian.
site=$root/var/lib/bcfg2
mkdir -p "$site/Cfg/etc/motd" "$site/Bundler"
echo 'Welcome to ${metadata.hostname}' >"$site/Cfg/etc/motd/motd.genshi"
in_root bcfg2-server --render /var/lib/bcfg2/Cfg/etc/motd/motd.genshi --client localhost 2>"$folder/render.log" |
  grep -qx 'Welcome to localhost' || { cat "$folder/render.log" >&2; fail "a template does not render"; }
echo '<Bundle name="motd"><Path name="/etc/motd" colour="green"/></Bundle>' >"$site/Bundler/motd.xml"
if in_root bcfg2-lint Validate >"$folder/lint" 2>&1; then fail "lint finds nothing wrong with an unknown attribute"; fi
grep -q colour "$folder/lint" || { cat "$folder/lint" >&2; fail "lint does not find its schemas"; }
rm "$site/Bundler/motd.xml"

say "upgrade from an earlier version"
stopped
mkdir "$folder/old"
for name in server tools web; do
  dpkg-deb -R "$folder"/a/bcfg2-swift-${name}_*.deb "$folder/old/$name"
  sed -i 's/^Version: .*/Version: 0.9.0/; s/(= [^)]*)/(= 0.9.0)/' "$folder/old/$name/DEBIAN/control"
  dpkg-deb -Znone -b "$folder/old/$name" "$root/packages/old-$name.deb" >/dev/null
  rm -rf "$folder/old/$name"
done
fresh_site=$folder/site.tar
tar -C "$root" -cf "$fresh_site" etc/bcfg2.conf etc/ssl/bcfg2.key etc/ssl/bcfg2.crt var/lib/bcfg2
in_root sh -c 'dpkg --force-downgrade -i /packages/old-*.deb' >/dev/null 2>&1 || fail "an earlier version does not install"
echo 'BCFG2_SERVER_OPTIONS="-v"' >>"$root/etc/default/bcfg2-server"
answers
before=$(state)
pid=$(cat "$root/run/bcfg2-server/bcfg2-server.pid")
install_all
[ "$(state)" = "$before" ] || fail "an upgrade changed files of the site"
after=$(cat "$root/run/bcfg2-server/bcfg2-server.pid")
[ "$pid" != "$after" ] || fail "an upgrade left the old server running"
in_root bcfg2-admin xcmd get_statistics >/dev/null || fail "no answer after an upgrade"

say "removal and purge"
in_root dpkg -r bcfg2-swift-server >/dev/null 2>&1 || fail "dpkg -r"
# A process that ended may wait for its parent; it has no command line any more.
if tr '\0' ' ' 2>/dev/null <"/proc/$after/cmdline" | grep -q bcfg2-server; then fail "the server runs after its removal"; fi
[ "$(state)" = "$before" ] || fail "a removal changed files of the site"
in_root dpkg -P bcfg2-swift-server bcfg2-swift-tools bcfg2-swift-web >/dev/null 2>&1 || fail "dpkg -P"
[ ! -e "$root/etc/default/bcfg2-server" ] || fail "purge left /etc/default/bcfg2-server"
[ -e "$root/etc/bcfg2.conf" ] && [ -d "$site/Metadata" ] || fail "purge removed files of the site"
left=$(cd "$root" && find etc usr lib run -name '*bcfg2*' ! -path 'etc/bcfg2.conf' ! -path 'etc/ssl/*' ! -path 'run/bcfg2*' ! -name '*.pyc')
[ -z "$left" ] || fail "purge left $left"

say "upgrade from Bcfg2's package"
fresh
# What Debian's bcfg2-server has: its programs, an init script that is a conffile, options by its own hands, an empty /var/lib/bcfg2.
mock=$folder/mock
mkdir -p "$mock/DEBIAN" "$mock/usr/sbin" "$mock/etc/init.d" "$mock/var/lib/bcfg2" "$mock/usr/share/man/man8" "$mock/usr/share/bcfg2"
cat >"$mock/DEBIAN/control" <<'END'
Package: bcfg2-server
Version: 1.4.0~pre2-1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: stands for the server of Bcfg2
END
echo /etc/init.d/bcfg2-server >"$mock/DEBIAN/conffiles"
printf '#!/bin/sh\n[ "$1" = configure ] && [ ! -e /etc/default/bcfg2-server ] && echo BCFG2_SERVER_ENABLED=1 >/etc/default/bcfg2-server\nexit 0\n' \
  >"$mock/DEBIAN/postinst"
for name in server admin info lint crypt test reports report-collector; do
  printf '#!/bin/sh\nexec sleep 1000\n' >"$mock/usr/sbin/bcfg2-$name"
  echo "of Bcfg2" >"$mock/usr/share/man/man8/bcfg2-$name.8"
done
printf '#!/bin/sh\ncase $1 in stop) touch /run/stopped ;; esac\n' >"$mock/etc/init.d/bcfg2-server"
chmod 755 "$mock/DEBIAN/postinst" "$mock"/usr/sbin/* "$mock/etc/init.d/bcfg2-server"
dpkg-deb --root-owner-group -b "$mock" "$root/packages/bcfg2-server.deb" >/dev/null
in_root dpkg -i /packages/bcfg2-server.deb >/dev/null 2>&1 || fail "the package that stands for Bcfg2's does not install"
tar -C "$root" -xf "$fresh_site"
chown -R 0:0 "$site" "$root/etc/bcfg2.conf"
# Where the unit does not let the server write.
printf '[logging]\npath = /var/log/bcfg2.log\n' >>"$root/etc/bcfg2.conf"
echo 'BCFG2_SERVER_OPTIONS="-v"' >>"$root/etc/default/bcfg2-server"
before=$(state)
in_root sh -c 'dpkg -B -i /packages/bcfg2-swift-server_*.deb /packages/bcfg2-swift-tools_*.deb' \
  >"$folder/dpkg.log" 2>&1 || { cat "$folder/dpkg.log" >&2; fail "Bcfg2's package is not replaced"; }
[ "$(in_root dpkg-query -W -f '${db:Status-Status}' bcfg2-server)" != installed ] || fail "Bcfg2's package is still there"
[ "$(state)" = "$before" ] || fail "the replacement of Bcfg2's package changed files of the site"
[ -e "$root/run/stopped" ] || fail "Bcfg2's server was not stopped"
grep -q 'User=$' "$root/etc/systemd/system/bcfg2-server.service.d/root.conf" || fail "no drop-in for a repository of root's"
grep -q '^ReadWritePaths=-/var/log$' "$root/etc/systemd/system/bcfg2-server.service.d/paths.conf" || fail "no drop-in for the log of Bcfg2's server"
in_root bcfg2-admin migrate >/dev/null 2>&1 || [ $? = 1 ] || fail "bcfg2-admin migrate"
answers
stopped
dropins() { find "$root/etc/systemd/system" -path '*/bcfg2-*.d/*.conf' | wc -l; }
# As apt does it.
in_root sh -c 'dpkg -r bcfg2-swift-server bcfg2-swift-tools && dpkg -i /packages/bcfg2-server.deb' >"$folder/dpkg.log" 2>&1 || { cat "$folder/dpkg.log" >&2; fail "the way back to Bcfg2's package"; }
[ "$(dropins)" = 0 ] || fail "drop-ins of this server are left for Bcfg2's unit"
in_root sh -c 'dpkg -B -i /packages/bcfg2-swift-server_*.deb /packages/bcfg2-swift-tools_*.deb' >"$folder/dpkg.log" 2>&1 ||
  { cat "$folder/dpkg.log" >&2; fail "Bcfg2's package is not replaced again"; }
[ "$(dropins)" = 6 ] || fail "drop-ins are not taken back"
in_root dpkg -P bcfg2-server >/dev/null 2>&1 || fail "dpkg -P of Bcfg2's package"
[ -e "$root/etc/init.d/bcfg2-server" ] || fail "purging Bcfg2's package removed the init script of this one"
say "done"
