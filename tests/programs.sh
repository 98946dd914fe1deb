#!/bin/sh
# Lists the missing programs that tests need besides Python, and exits with 1 if there are any. --install installs each
# missing program separately (Debian, as root), so that one conflicting package doesn't stop the others.
missing=
for pair in redis-server:redis-server prometheus:prometheus chromium:chromium chromedriver:chromium-driver \
  npm:npm systemd-analyze:systemd ip:iproute2 curl:curl; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing $pair"
done
if [ "${1:-}" = --install ] && [ -n "$missing" ]; then
  apt-get update -qq
  for pair in $missing; do
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${pair##*:}" ||
      echo "could not install ${pair##*:}" >&2
  done
  exec "$0"
fi
[ -z "$missing" ] && exit 0
echo "programs that tests need are missing:" >&2
for pair in $missing; do echo "  ${pair%%:*} (Debian: apt-get install ${pair##*:})" >&2; done
echo "to install all: tests/programs.sh --install" >&2
exit 1
