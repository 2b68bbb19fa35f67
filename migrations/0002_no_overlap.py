"""The database's own guard against double booking: two chains never occupy one resource at once.

SQLite: `busy_from > NEW.busy_from - 86400` bounds the search: no stretch is longer than a day (a
CHECK). PostgreSQL: a chain's own rows of a resource are disjoint, so they may exclude each other,
too; a range of one id stands for `=`, which GiST knows only with an extension.
"""

from peewee import PostgresqlDatabase

SQLITE_GUARD = """
CREATE TRIGGER occupancy_no_overlap_{verb} BEFORE {verb} ON occupancy
WHEN EXISTS (
    SELECT 1 FROM occupancy AS other
    WHERE other.resource = NEW.resource AND other.resource_id = NEW.resource_id
      AND other.chain <> NEW.chain
      AND other.busy_from > NEW.busy_from - 86400
      AND other.busy_from < NEW.busy_until AND other.busy_until > NEW.busy_from
)
BEGIN SELECT RAISE(ABORT, 'occupancy_overlap'); END
"""

SQLITE_KEEP = """
CREATE TRIGGER history_is_never_{past} BEFORE {verb} ON history
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
"""

POSTGRESQL_GUARD = """
ALTER TABLE occupancy ADD CONSTRAINT occupancy_overlap_{resource} EXCLUDE USING gist (
    int8range(resource_id, resource_id, '[]') WITH &&, int8range(busy_from, busy_until) WITH &&
) WHERE (resource = '{resource}')
"""

POSTGRESQL_KEEP = """
CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'history is append-only' USING ERRCODE = 'integrity_constraint_violation'; END
$$;
CREATE TRIGGER history_is_never_updated BEFORE UPDATE ON history
    FOR EACH ROW EXECUTE FUNCTION history_is_append_only();
CREATE TRIGGER history_is_never_deleted BEFORE DELETE OR TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only()
"""


def up(migrator, db):
    if isinstance(db, PostgresqlDatabase):
        for resource in ("clinician", "room", "client"):
            db.execute_sql(POSTGRESQL_GUARD.format(resource=resource))
        db.execute_sql(POSTGRESQL_KEEP)
        return
    for verb in ("INSERT", "UPDATE"):
        db.execute_sql(SQLITE_GUARD.format(verb=verb))
    db.execute_sql(SQLITE_KEEP.format(past="updated", verb="UPDATE"))
    db.execute_sql(SQLITE_KEEP.format(past="deleted", verb="DELETE"))
