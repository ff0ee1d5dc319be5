"""The history of who was on call only grows: the database itself sees to it."""

from __future__ import annotations

from django.db import migrations

FORWARDS = """
CREATE FUNCTION incidents_refuse_on_call_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.ends_at > OLD.ends_at THEN
        OLD.ends_at = NEW.ends_at;
        IF NEW = OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the on-call history is append-only: % of record % refused',
        TG_OP, OLD.id USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER incidents_on_call_append_only
    BEFORE UPDATE OR DELETE ON incidents_oncallrecord
    FOR EACH ROW EXECUTE FUNCTION incidents_refuse_on_call_change();
"""

BACKWARDS = """
DROP TRIGGER incidents_on_call_append_only ON incidents_oncallrecord;
DROP FUNCTION incidents_refuse_on_call_change();
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0007_on_call")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
