#!/bin/sh
# Prints the costs of the built server with the repository of the conformance case first-run: resident memory after a call
# and at rest, threads, descriptors, shared libraries. Fails over the limits below.
set -eu
cd "$(dirname "$0")/.."
server=.build/release/bcfg2-server
limit_kb=19456
rest_limit_kb=16384

folder=$(mktemp -d)
pid=
# The server writes pending data when it stops, so end it before removing its repository.
end() {
  if [ -n "$pid" ]; then
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
  fi
  rm -rf "$folder"
}
trap end EXIT
cp -R Tests/Conformance/cases/first-run/repo "$folder/repo"
openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost \
  -keyout "$folder/key" -out "$folder/crt" 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/bcfg2.conf" <<EOF
[server]
repository = $folder/repo
plugins = Bundler,Cfg,Metadata,Probes,Rules
[communication]
password = footprint
certificate = $folder/crt
key = $folder/key
ca = $folder/crt
[components]
bcfg2 = https://localhost:$port
EOF
"$server" -C "$folder/bcfg2.conf" >"$folder/log" 2>&1 &
pid=$!
tries=0
until curl --silent --fail --cacert "$folder/crt" --user root:footprint --output /dev/null \
  --data '<methodCall><methodName>GetConfig</methodName></methodCall>' "https://localhost:$port/RPC2"; do
  tries=$((tries + 1))
  if [ "$tries" -ge 100 ] || ! kill -0 "$pid" 2>/dev/null; then
    cat "$folder/log" >&2
    exit 1
  fi
  sleep 0.1
done

resident() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"; }
rss=$(resident)
# The server releases memory after five seconds without an event.
tries=0
while rest=$(resident) && [ "$rest" -gt "$((rss - 1024))" ] && [ "$tries" -lt 100 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
threads=$(ls "/proc/$pid/task" | wc -l)
echo "resident memory after a call: $rss kB (limit $limit_kb)"
echo "resident memory at rest: $rest kB (limit $rest_limit_kb)"
echo "threads: $threads"
echo "descriptors: $(ls "/proc/$pid/fd" | wc -l)"
echo "libraries: $(ldd "$server" | sed 's/^[[:space:]]*//; s/ .*//' | tr '\n' ' ')"
if ldd "$server" | grep -qE 'libswift|Foundation|dispatch'; then
  echo "footprint: the server links a Swift library dynamically" >&2
  exit 1
fi
# What fetches packages is a program of its own, with the libraries that read what others send.
if readelf -d "$server" | grep NEEDED | grep -E 'libcurl|libz\.|liblzma|libzstd|libbz2'; then
  echo "footprint: the server links a library of compressions or downloads" >&2
  exit 1
fi
[ "$threads" = 1 ] || { echo "footprint: more than one thread" >&2; exit 1; }
[ "$rss" -le "$limit_kb" ] || { echo "footprint: more than $limit_kb kB resident" >&2; exit 1; }
[ "$rest" -le "$rest_limit_kb" ] || { echo "footprint: more than $rest_limit_kb kB resident at rest" >&2; exit 1; }
