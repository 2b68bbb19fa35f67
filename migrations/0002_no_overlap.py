"""The database's own guard against double booking: two chains never occupy one resource at once.

`busy_from > NEW.busy_from - 86400` bounds the search: no stretch is longer than a day (a CHECK).
"""

GUARD = """
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

KEEP = """
CREATE TRIGGER history_is_never_{past} BEFORE {verb} ON history
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
"""


def up(migrator, db):
    for verb in ("INSERT", "UPDATE"):
        db.execute_sql(GUARD.format(verb=verb))
    db.execute_sql(KEEP.format(past="updated", verb="UPDATE"))
    db.execute_sql(KEEP.format(past="deleted", verb="DELETE"))
