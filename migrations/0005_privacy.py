"""A digest that chains each appointment's history, and what privacy asks for: consent, erasure,
how much mails tell, how long data is kept, and who read whose."""

import hashlib
import json

from peewee import BigIntegerField, CharField, ForeignKeyField, Model, SqliteDatabase

GUARD = "history_is_never_updated"
SQLITE = (
    f"DROP TRIGGER {GUARD}",
    f"""
    CREATE TRIGGER {GUARD} BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
    """,
)
POSTGRESQL = (
    f"ALTER TABLE history DISABLE TRIGGER {GUARD}",
    f"ALTER TABLE history ENABLE TRIGGER {GUARD}",
)

COLUMNS = (
    "history ADD COLUMN digest VARCHAR(64) NOT NULL DEFAULT ''",
    "practice ADD COLUMN mail_level VARCHAR(10) NOT NULL DEFAULT 'standard'",
    "practice ADD COLUMN retention_days INTEGER",
    "account ADD COLUMN mail_consented_at {instant}",
    "client ADD COLUMN erased_at {instant}",
)
CHAINED = (
    "appointment_id", "version", "event", "before", "after", "actor", "account_id", "at",
    "starts_at",
)  # fmt: skip


def up(migrator, db):
    on_sqlite = isinstance(db, SqliteDatabase)
    instant = "INTEGER" if on_sqlite else "BIGINT"
    lift, restore = SQLITE if on_sqlite else POSTGRESQL
    for column in COLUMNS:
        db.execute_sql(f"ALTER TABLE {column.format(instant=instant)}")
    db.execute_sql(lift)
    chain(db)
    db.execute_sql(restore)

    class Account(Model):
        class Meta:
            database = db
            table_name = "account"

    class Client(Model):
        class Meta:
            database = db
            table_name = "client"

    class ClientRead(Model):
        account = ForeignKeyField(Account, backref="+")
        client = ForeignKeyField(Client, backref="+")
        page = CharField(max_length=40)
        day = CharField()
        at = BigIntegerField()

        class Meta:
            database = db
            table_name = "client_read"
            indexes = ((("client", "account", "page", "day"), True),)

    db.create_tables([ClientRead])


def chain(db):
    """Give the rows that are there the digest that they would have been written with."""
    rows = db.execute_sql(
        f"SELECT id, {', '.join(CHAINED)}, detail FROM history"  # noqa: S608 - names of ours.
        " ORDER BY appointment_id, version"
    ).fetchall()
    before, appointment = "", None
    for id_, *row, detail in rows:
        if row[0] != appointment:
            before, appointment = "", row[0]
        row.append(json.loads(detail) if isinstance(detail, str) else detail)
        said = json.dumps([before, *row], sort_keys=True, separators=(",", ":"))
        before = hashlib.sha256(said.encode()).hexdigest()
        sealed = f"UPDATE history SET digest = '{before}' WHERE id = {int(id_)}"  # noqa: S608 - hex.
        db.execute_sql(sealed)
