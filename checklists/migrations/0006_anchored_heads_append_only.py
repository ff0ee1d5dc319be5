"""A head that was mailed stays as it was mailed; only its anchor may be deleted."""

from __future__ import annotations

from django.db import migrations

FORWARDS = """
CREATE FUNCTION checklists_guard_anchored_head() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.anchor_id IS NULL THEN
        OLD.anchor_id = NULL;
        IF NEW = OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'mailed heads are append-only: % of % refused', TG_OP, OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER checklists_anchoredhead_append_only
    BEFORE UPDATE OR DELETE ON checklists_anchoredhead
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_anchored_head();
"""

BACKWARDS = """
DROP TRIGGER checklists_anchoredhead_append_only ON checklists_anchoredhead;
DROP FUNCTION checklists_guard_anchored_head();
"""


class Migration(migrations.Migration):
    dependencies = [("checklists", "0005_audit_anchors")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
