"""Raise `revision` whenever a monitor or one of its assertions really changes.

By trigger, so that no way of writing (admin, import, bulk update, SQL) can forget it.
"""

from __future__ import annotations

from django.db import migrations

# Whatever the statement says about `revision` itself is overruled: a form that was
# loaded before an assertion changed would set it back.
OWN = """
CREATE FUNCTION monitors_raise_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER monitors_monitor_revision
    BEFORE UPDATE ON monitors_monitor
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION monitors_raise_revision();
"""
OWN_REVERSE = """
DROP TRIGGER monitors_monitor_revision ON monitors_monitor;
DROP FUNCTION monitors_raise_revision();
"""

ASSERTIONS = """
CREATE FUNCTION monitors_raise_revision_of_monitor() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE monitors_monitor SET revision = revision + 1 WHERE id = OLD.monitor_id;
    END IF;
    IF TG_OP = 'INSERT'
        OR (TG_OP = 'UPDATE' AND NEW.monitor_id <> OLD.monitor_id) THEN
        UPDATE monitors_monitor SET revision = revision + 1 WHERE id = NEW.monitor_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER monitors_assertion_revision
    AFTER INSERT OR DELETE ON monitors_assertion
    FOR EACH ROW EXECUTE FUNCTION monitors_raise_revision_of_monitor();
CREATE TRIGGER monitors_assertion_revision_on_change
    AFTER UPDATE ON monitors_assertion
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION monitors_raise_revision_of_monitor();
"""
ASSERTIONS_REVERSE = """
DROP TRIGGER monitors_assertion_revision ON monitors_assertion;
DROP TRIGGER monitors_assertion_revision_on_change ON monitors_assertion;
DROP FUNCTION monitors_raise_revision_of_monitor();
"""


class Migration(migrations.Migration):
    dependencies = [("monitors", "0002_partitions")]

    operations = [
        migrations.RunSQL(OWN, OWN_REVERSE),
        migrations.RunSQL(ASSERTIONS, ASSERTIONS_REVERSE),
    ]
