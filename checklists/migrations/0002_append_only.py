"""The database itself keeps what was signed: no run that is over changes any more.

Evidence, sign-offs, waivers, versions and decisions are added and ended, never edited or
deleted. An account or a contact that is deleted leaves its name: its key may become null.
"""

from __future__ import annotations

from django.db import migrations

FORWARDS = """
-- Whether two states of a row differ in nothing but these columns.
CREATE FUNCTION checklists_same_but(was jsonb, becomes jsonb, VARIADIC columns text[])
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT was - columns = becomes - columns
$$;

CREATE FUNCTION checklists_forgotten(becomes jsonb, VARIADIC columns text[])
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(name), '{}') FROM unnest(columns) AS name
    WHERE becomes -> name = 'null'::jsonb
$$;

CREATE FUNCTION checklists_guard_run() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    gone text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.state = 'open' THEN
            RETURN NEW;
        END IF;
        gone := checklists_forgotten(to_jsonb(NEW), 'opened_by_id', 'ended_by_id');
        IF checklists_same_but(to_jsonb(OLD), to_jsonb(NEW), VARIADIC gone) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'checklist run % is %: % refused', OLD.id, OLD.state, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER checklists_run_over BEFORE UPDATE OR DELETE ON checklists_checklistrun
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_run();

CREATE FUNCTION checklists_guard_item() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    state_now text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'item % of a checklist run: DELETE refused', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND checklists_same_but(
        to_jsonb(OLD), to_jsonb(NEW),
        VARIADIC checklists_forgotten(to_jsonb(NEW), 'owner_id')
    ) THEN
        RETURN NEW;
    END IF;
    -- No lock: claims of due items lock the item first, services the run.
    SELECT state INTO state_now FROM checklists_checklistrun WHERE id = NEW.run_id;
    IF state_now <> 'open' THEN
        RAISE EXCEPTION 'checklist run % is %: % of an item refused',
            NEW.run_id, state_now, TG_OP USING ERRCODE = 'restrict_violation';
    END IF;
    -- What was asked for stays as it was when the run was opened.
    IF TG_OP = 'UPDATE' AND NOT checklists_same_but(
        to_jsonb(OLD), to_jsonb(NEW),
        'owner_id', 'owner_name', 'revision', 'next_verify_at', 'lease_until'
    ) THEN
        RAISE EXCEPTION 'item % of a checklist run is a frozen copy: UPDATE refused',
            OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER checklists_item_frozen
    BEFORE INSERT OR UPDATE OR DELETE ON checklists_runitem
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_item();

-- Arguments: columns that end a row while its run is open, '|', columns of accounts and
-- addresses that may become null at any time.
CREATE FUNCTION checklists_guard_record() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    state_now text;
    split int := array_position(TG_ARGV, '|');
    erasable text[] := TG_ARGV[split + 1:];
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION '% is append-only: DELETE of % refused', TG_TABLE_NAME, OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF checklists_same_but(
            to_jsonb(OLD), to_jsonb(NEW),
            VARIADIC checklists_forgotten(to_jsonb(NEW), VARIADIC erasable)
        ) THEN
            RETURN NEW;
        END IF;
        IF NOT checklists_same_but(
            to_jsonb(OLD), to_jsonb(NEW), VARIADIC TG_ARGV[:split - 1]
        ) THEN
            RAISE EXCEPTION '% is append-only: UPDATE of % refused',
                TG_TABLE_NAME, OLD.id USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    -- A run that is being ended meanwhile is waited for.
    SELECT run.state INTO state_now
    FROM checklists_runitem item JOIN checklists_checklistrun run ON run.id = item.run_id
    WHERE item.id = NEW.item_id FOR SHARE OF run;
    IF state_now <> 'open' THEN
        RAISE EXCEPTION 'the checklist run is %: % in % refused',
            state_now, TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER checklists_evidence_append_only
    BEFORE INSERT OR UPDATE OR DELETE ON checklists_evidence
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_record(
        'withdrawn_at', 'withdrawn_by_id', 'withdrawn_by_name', 'withdrawn_reason',
        '|', 'captured_by_id', 'withdrawn_by_id'
    );
CREATE TRIGGER checklists_signoff_append_only
    BEFORE INSERT OR UPDATE OR DELETE ON checklists_signoff
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_record(
        'revoked_at', 'revoked_by_id', 'revoked_by_name', 'revoked_reason',
        'superseded_at', 'superseded_by_id',
        '|', 'address', 'revoked_by_id'
    );
CREATE TRIGGER checklists_waiver_append_only
    BEFORE INSERT OR UPDATE OR DELETE ON checklists_waiver
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_record(
        'approved_at', 'approved_by_id', 'approved_by_name',
        'ended_at', 'ended_as', 'ended_by_name', 'ended_reason', '|'
    );

-- What has ended stays ended, and what was signed stays signed.
CREATE FUNCTION checklists_guard_end() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    column_name text;
BEGIN
    FOREACH column_name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(OLD) -> column_name <> 'null'::jsonb
            AND to_jsonb(OLD) -> column_name IS DISTINCT FROM to_jsonb(NEW) -> column_name
        THEN
            RAISE EXCEPTION '% of % % is set already: UPDATE refused',
                column_name, TG_TABLE_NAME, OLD.id USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
CREATE TRIGGER checklists_evidence_ends_once BEFORE UPDATE ON checklists_evidence
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_end('withdrawn_at');
CREATE TRIGGER checklists_signoff_ends_once BEFORE UPDATE ON checklists_signoff
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_end(
        'revoked_at', 'superseded_at', 'superseded_by_id'
    );
CREATE TRIGGER checklists_waiver_ends_once BEFORE UPDATE ON checklists_waiver
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_end(
        'approved_at', 'approved_by_id', 'ended_at'
    );

CREATE FUNCTION checklists_guard_version() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.status <> 'withdrawn' AND checklists_same_but(
        to_jsonb(OLD), to_jsonb(NEW),
        'status', 'published_by_id', 'published_by_name', 'published_at',
        'withdrawn_at', 'withdrawn_by_name', 'withdrawn_reason', 'proposed_by_id'
    ) AND (OLD.published_at IS NULL OR NEW.published_at = OLD.published_at) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND checklists_same_but(
        to_jsonb(OLD), to_jsonb(NEW),
        VARIADIC checklists_forgotten(to_jsonb(NEW), 'proposed_by_id', 'published_by_id')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'version % of a checklist template: % refused', OLD.id, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER checklists_version_immutable
    BEFORE UPDATE OR DELETE ON checklists_templateversion
    FOR EACH ROW EXECUTE FUNCTION checklists_guard_version();

CREATE FUNCTION checklists_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % of % refused', TG_TABLE_NAME, TG_OP, OLD.id
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER checklists_decision_append_only
    BEFORE UPDATE OR DELETE ON checklists_gatedecision
    FOR EACH ROW EXECUTE FUNCTION checklists_refuse_change();
"""

BACKWARDS = """
DROP TRIGGER checklists_decision_append_only ON checklists_gatedecision;
DROP TRIGGER checklists_version_immutable ON checklists_templateversion;
DROP TRIGGER checklists_waiver_ends_once ON checklists_waiver;
DROP TRIGGER checklists_signoff_ends_once ON checklists_signoff;
DROP TRIGGER checklists_evidence_ends_once ON checklists_evidence;
DROP TRIGGER checklists_waiver_append_only ON checklists_waiver;
DROP TRIGGER checklists_signoff_append_only ON checklists_signoff;
DROP TRIGGER checklists_evidence_append_only ON checklists_evidence;
DROP TRIGGER checklists_item_frozen ON checklists_runitem;
DROP TRIGGER checklists_run_over ON checklists_checklistrun;
DROP FUNCTION checklists_refuse_change();
DROP FUNCTION checklists_guard_version();
DROP FUNCTION checklists_guard_end();
DROP FUNCTION checklists_guard_record();
DROP FUNCTION checklists_guard_item();
DROP FUNCTION checklists_guard_run();
DROP FUNCTION checklists_forgotten(jsonb, text[]);
DROP FUNCTION checklists_same_but(jsonb, jsonb, text[]);
"""


class Migration(migrations.Migration):
    dependencies = [("checklists", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
