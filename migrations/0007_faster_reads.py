"""What stands in a span, and absences to come, by indexes; clients' names as people type them."""

import unicodedata

MOST = 255


def up(migrator, db):
    db.execute_sql(f"ALTER TABLE client ADD COLUMN folded VARCHAR({MOST}) NOT NULL DEFAULT ''")
    param = db.param
    for id_, name in db.execute_sql("SELECT id, name FROM client").fetchall():
        sql = f"UPDATE client SET folded = {param} WHERE id = {param}"  # noqa: S608 - no text of anybody's.
        db.execute_sql(sql, (folded(name), id_))
    for table, *columns in (
        ("client", "folded"),
        ("appointment", "state", "starts_at"),
        ("blocked_time", "ends_at"),
    ):
        name = "_".join((table, *columns))
        db.execute_sql(f"CREATE INDEX {name} ON {table} ({', '.join(columns)})")


def folded(name):
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))[:MOST]
