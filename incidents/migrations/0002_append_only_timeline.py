"""The database itself refuses to change or delete a line of the timeline."""

from __future__ import annotations

from django.db import migrations

FORWARDS = """
CREATE FUNCTION incidents_refuse_timeline_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the timeline is append-only: % of entry % refused', TG_OP, OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER incidents_timeline_append_only
    BEFORE UPDATE OR DELETE ON incidents_incidentevent
    FOR EACH ROW EXECUTE FUNCTION incidents_refuse_timeline_change();
"""

BACKWARDS = """
DROP TRIGGER incidents_timeline_append_only ON incidents_incidentevent;
DROP FUNCTION incidents_refuse_timeline_change();
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
