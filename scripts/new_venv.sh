#!/bin/sh
# new_venv.sh INTERPRETER DIRECTORY [--clear]: a virtual environment, or why there is none.
set -eu
interpreter=$1 directory=$2 clear=${3:-}

if ! command -v "$interpreter" >/dev/null; then
    echo "There is no $interpreter. Install Python 3.11 or newer, or name another" \
        "interpreter: make run PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$interpreter" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$interpreter is $("$interpreter" -V 2>&1); the portal needs 3.11 or newer." \
        "Name another interpreter: make run PYTHON=python3.12" >&2
    exit 1
fi
[ -z "$clear" ] && [ -x "$directory/bin/python" ] && exit 0
if ! said=$("$interpreter" -m venv --clear "$directory" 2>&1); then
    echo "$said" >&2
    echo "No virtual environment could be made. On Debian and Ubuntu the module is a" \
        "package of its own: apt-get install python3-venv" >&2
    exit 1
fi
