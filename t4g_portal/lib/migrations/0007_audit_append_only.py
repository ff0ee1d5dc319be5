"""The database itself keeps the audit chain: it grows at its head or not at all."""

from __future__ import annotations

from django.db import migrations

# AFTER, not BEFORE: a row that ON CONFLICT leaves out must not move the head.
FORWARDS = """
CREATE FUNCTION cellar_audit_follow_on() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq = 1 AND NEW.prev_hash = repeat('0', 64) THEN
        INSERT INTO cellar_audithead (id, seq, hash) VALUES (1, 1, NEW.hash);
        RETURN NULL;
    END IF;
    UPDATE cellar_audithead SET seq = NEW.seq, hash = NEW.hash
        WHERE id = 1 AND seq = NEW.seq - 1 AND hash = NEW.prev_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'audit entry % does not follow on the head of the chain',
            NEW.seq USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER cellar_auditentry_follows_on
    AFTER INSERT ON cellar_auditentry
    FOR EACH ROW EXECUTE FUNCTION cellar_audit_follow_on();

CREATE FUNCTION cellar_audit_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit chain is append-only: % of entry % refused',
        TG_OP, OLD.seq USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER cellar_auditentry_append_only
    BEFORE UPDATE OR DELETE ON cellar_auditentry
    FOR EACH ROW EXECUTE FUNCTION cellar_audit_refuse_change();

CREATE FUNCTION cellar_audit_refuse_head() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A depth above one: the trigger of an entry is what moves it on.
    IF TG_OP <> 'DELETE' AND pg_trigger_depth() > 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the head of the audit chain moves with its entries alone: % refused',
        TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER cellar_audithead_moves_with_entries
    BEFORE INSERT OR UPDATE OR DELETE ON cellar_audithead
    FOR EACH ROW EXECUTE FUNCTION cellar_audit_refuse_head();

CREATE FUNCTION cellar_audit_refuse_truncate() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit chain is append-only: TRUNCATE of % refused', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER cellar_auditentry_no_truncate
    BEFORE TRUNCATE ON cellar_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION cellar_audit_refuse_truncate();
CREATE TRIGGER cellar_audithead_no_truncate
    BEFORE TRUNCATE ON cellar_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION cellar_audit_refuse_truncate();
"""

BACKWARDS = """
DROP TRIGGER cellar_audithead_no_truncate ON cellar_audithead;
DROP TRIGGER cellar_auditentry_no_truncate ON cellar_auditentry;
DROP FUNCTION cellar_audit_refuse_truncate();
DROP TRIGGER cellar_audithead_moves_with_entries ON cellar_audithead;
DROP FUNCTION cellar_audit_refuse_head();
DROP TRIGGER cellar_auditentry_append_only ON cellar_auditentry;
DROP FUNCTION cellar_audit_refuse_change();
DROP TRIGGER cellar_auditentry_follows_on ON cellar_auditentry;
DROP FUNCTION cellar_audit_follow_on();
"""


class Migration(migrations.Migration):
    dependencies = [("cellar", "0006_audit_chain")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
