#!/bin/sh
# From a bare Debian with a Swift toolchain to a running server: installs the headers, builds, makes an example
# repository and a certificate, starts the server on loopback, fetches the configuration of the client `localhost`
# through it and prints it, sends a report as at the end of a client's run, starts the report pages, and prints their
# address.
#
#   scripts/quickstart.sh [--stop] [--folder DIR] [--port N] [--web-port N]
#
#   --stop        stop server and pages at the end; otherwise they keep running, and the script prints how to stop them
#   --folder DIR  folder of repository, certificate, bcfg2.conf, logs and pid files  (default: ./quickstart)
#   --port N      the TCP port of the server                                         (default: 6789)
#   --web-port N  that of the report pages                                           (default: 8080)
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
folder=quickstart
port=6789
web_port=8080
stop=no
while [ $# -gt 0 ]; do
  case $1 in
    --stop) stop=yes ;;
    --folder) folder=${2:?"--folder needs a name"}; shift ;;
    --port) port=${2:?"--port needs a number"}; shift ;;
    --web-port) web_port=${2:?"--web-port needs a number"}; shift ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; exit 0 ;;
    *) echo "quickstart: unknown option $1 (--help lists them)" >&2; exit 2 ;;
  esac
  shift
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# What an earlier quickstart started would answer in place of what this one starts.
running=
for program in server web; do
  pid=$(cat "$folder/$program.pid" 2>/dev/null) || continue
  case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" || true) in *"bcfg2-$program -C $folder/bcfg2.conf"*) running="$running $pid" ;; esac
done
if [ -n "$running" ]; then
  echo "quickstart: an earlier quickstart in $folder still runs; stop it with: kill$running" >&2
  exit 1
fi

"$top/scripts/setup.sh"
(cd "$top" && for product in bcfg2-server bcfg2-report-collector bcfg2-web; do swift build -c release --product "$product"; done)
server=$top/.build/release/bcfg2-server

[ -d "$folder/repository" ] || cp -R "$top/examples/repository" "$folder/repository"

if [ ! -f "$folder/bcfg2.key" ]; then
  openssl req -x509 -nodes -newkey rsa:2048 -days 3650 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
    -keyout "$folder/bcfg2.key" -out "$folder/bcfg2.crt" 2>/dev/null
  chmod 600 "$folder/bcfg2.key"
fi

if [ ! -f "$folder/bcfg2.conf" ]; then
  password=$(openssl rand -hex 16)
  cat >"$folder/bcfg2.conf" <<EOF
[server]
repository = $folder/repository
plugins = Bundler,Cfg,Metadata,Probes,Reporting,Rules
filemonitor = inotify

[communication]
password = $password
certificate = $folder/bcfg2.crt
key = $folder/bcfg2.key
ca = $folder/bcfg2.crt

[components]
bcfg2 = https://localhost:$port

[reporting]
web_listen = 127.0.0.1:$web_port
EOF
  chmod 600 "$folder/bcfg2.conf"
fi
port=$(sed -n 's|^bcfg2 = https://localhost:||p' "$folder/bcfg2.conf")
password=$(sed -n 's/^password = //p' "$folder/bcfg2.conf")
web_port=$(sed -n 's|^web_listen = 127.0.0.1:||p' "$folder/bcfg2.conf")
if [ -z "$web_port" ]; then
  echo "quickstart: $folder/bcfg2.conf is of an earlier quickstart, without reports: remove $folder, or name another --folder" >&2
  exit 1
fi

"$server" -C "$folder/bcfg2.conf" >"$folder/server.log" 2>&1 &
pid=$!
echo "$pid" >"$folder/server.pid"

call() {
  curl --silent --show-error --fail --cacert "$folder/bcfg2.crt" --user "root:$password" --header 'Content-Type: text/xml' \
    --data "<methodCall><methodName>$1</methodName><params>${2-}</params></methodCall>" "https://localhost:$port/RPC2"
}

tries=0
until call GetConfig >"$folder/answer.xml" 2>"$folder/curl.log"; do
  tries=$((tries + 1))
  if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -ge 100 ]; then
    echo "quickstart: the server gave no configuration:" >&2
    cat "$folder/server.log" "$folder/curl.log" >&2
    kill "$pid" 2>/dev/null || true
    exit 1
  fi
  sleep 0.1
done

echo
echo "The configuration of localhost, as its client gets it:"
xmllint --xpath 'string(//value/string)' "$folder/answer.xml" | xmllint --format - | tail -n +2
echo

# What the client reports after a run that found one package of another version.
report='<upload-statistics><Statistics version="2.0" revision="-1" total="4" good="3" state="dirty"><Bad><Package name="example"
type="deb" version="2" current_version="1" current_exists="true"/></Bad></Statistics></upload-statistics>'
escaped=$(printf %s "$report" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
call RecvStats "<param><value><string>$escaped</string></value></param>" | grep -q '<boolean>1</boolean>' || {
  echo "quickstart: the server did not keep the report" >&2
  kill "$pid"
  exit 1
}
tries=0
until [ -f "$folder/repository/etc/bcfg2.sqlite" ] &&
  [ -z "$(find "$folder/repository/Reporting/spool" -name '*.open' -o -name '*.records')" ]; do
  tries=$((tries + 1))
  if [ "$tries" -ge 100 ]; then
    echo "quickstart: the report did not come to the database; see $folder/server.log" >&2
    kill "$pid"
    exit 1
  fi
  sleep 0.1
done

"$top/.build/release/bcfg2-web" -C "$folder/bcfg2.conf" >"$folder/web.log" 2>&1 &
web=$!
echo "$web" >"$folder/web.pid"
pages=http://localhost:$web_port
tries=0
until curl --silent --fail "$pages/client/localhost" >"$folder/page.html" 2>/dev/null; do
  tries=$((tries + 1))
  if ! kill -0 "$web" 2>/dev/null || [ "$tries" -ge 100 ]; then
    echo "quickstart: the report pages do not have the report:" >&2
    cat "$folder/web.log" >&2
    kill "$pid" "$web" 2>/dev/null || true
    exit 1
  fi
  sleep 0.1
done

if [ "$stop" = yes ]; then
  kill "$web"
  wait "$web" || { echo "quickstart: the report pages did not end cleanly" >&2; exit 1; }
  kill "$pid"
  wait "$pid" || { echo "quickstart: the server did not end cleanly" >&2; exit 1; }
  rm -f "$folder/server.pid" "$folder/web.pid"
  echo "Server and pages are stopped. Their folder is $folder."
else
  echo "The server runs as process $pid on https://localhost:$port, log $folder/server.log."
  echo "Edit a file below $folder/repository and ask again. Stop server and pages with: kill $pid $web"
  echo "The report of localhost: $pages/client/localhost"
fi
