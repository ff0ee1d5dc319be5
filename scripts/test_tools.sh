#!/bin/sh
# The programs that tests need beside Python: installed when we may, else named.
set -eu

missing=""
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null &&
    ! command -v google-chrome >/dev/null; then
    missing="$missing chromium"
fi
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v msgfmt >/dev/null || missing="$missing gettext"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need these programs:$missing. Install them, on Debian and Ubuntu" \
        "with: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing what the tests need:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of words is meant
apt-get install -qq -y --no-install-recommends $missing >/dev/null
