#!/bin/sh
# Django's deployment checks on the settings of production, with throw-away keys.
set -eu

SECRET_KEY=$("$BIN/python" -c 'import secrets; print(secrets.token_urlsafe(50))')
PORTAL_DATA_KEYS=$("$BIN/python" -c 'import base64, secrets
print("k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())')
export SECRET_KEY PORTAL_DATA_KEYS
export PORTAL_ENV=production
export ALLOWED_HOSTS=portal.example.org PORTAL_URL=https://portal.example.org
exec "$BIN/python" manage.py check --deploy --fail-level WARNING
