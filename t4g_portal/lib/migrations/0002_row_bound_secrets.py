"""Secrets bound to their rows: on the way back they are made readable for older versions.

On the way forward nothing is rewritten: a version that doesn't know row binding may still
run. New and changed secrets are bound, and `manage.py rotate_secrets` binds the rest.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


def unbind(apps: Any, schema_editor: Any) -> None:
    from t4g_portal.lib.secrets.rotation import rotate
    from t4g_portal.lib.secrets.sealing import UNBOUND

    for _step in rotate(version=UNBOUND):
        pass


class Migration(migrations.Migration):
    dependencies = [("cellar", "0001_initial")]

    operations = [migrations.RunPython(migrations.RunPython.noop, unbind)]
