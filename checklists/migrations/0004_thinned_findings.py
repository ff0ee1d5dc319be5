"""The one thing that may go: a finding between two of the same basis, which nobody signed.

A verifier looks every few minutes. The first and the last of a row of equal findings say
it all; those between may be cleared away.
"""

from __future__ import annotations

from django.db import migrations

FORWARDS = """
CREATE FUNCTION checklists_guard_finding() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before_it text;
    after_it text;
BEGIN
    IF OLD.kind = 'verification' AND NOT EXISTS (
        SELECT FROM checklists_signoff
        WHERE item_id = OLD.item_id AND OLD.id = ANY (rests_on)
    ) THEN
        SELECT basis_sha256 INTO before_it FROM checklists_evidence
        WHERE item_id = OLD.item_id AND kind = 'verification' AND id < OLD.id
        ORDER BY id DESC LIMIT 1;
        SELECT basis_sha256 INTO after_it FROM checklists_evidence
        WHERE item_id = OLD.item_id AND kind = 'verification' AND id > OLD.id
        ORDER BY id LIMIT 1;
        IF before_it = OLD.basis_sha256 AND after_it = OLD.basis_sha256 THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'checklists_evidence is append-only: DELETE of % refused', OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;
DROP TRIGGER checklists_evidence_append_only ON checklists_evidence;
CREATE TRIGGER checklists_evidence_append_only
    BEFORE INSERT OR UPDATE ON checklists_evidence
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_record(
        'withdrawn_at', 'withdrawn_by_id', 'withdrawn_by_name', 'withdrawn_reason',
        '|', 'captured_by_id', 'withdrawn_by_id'
    );
CREATE TRIGGER checklists_evidence_kept BEFORE DELETE ON checklists_evidence
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_finding();
"""

BACKWARDS = """
DROP TRIGGER checklists_evidence_kept ON checklists_evidence;
DROP TRIGGER checklists_evidence_append_only ON checklists_evidence;
CREATE TRIGGER checklists_evidence_append_only
    BEFORE INSERT OR UPDATE OR DELETE ON checklists_evidence
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_record(
        'withdrawn_at', 'withdrawn_by_id', 'withdrawn_by_name', 'withdrawn_reason',
        '|', 'captured_by_id', 'withdrawn_by_id'
    );
DROP FUNCTION checklists_guard_finding();
"""


class Migration(migrations.Migration):
    dependencies = [("checklists", "0003_sign_off_rests_on")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
