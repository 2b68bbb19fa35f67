"""A proof of an address may be that of the one which an account is to have."""

from peewee import SqliteDatabase


def up(migrator, db):
    boolean = "INTEGER" if isinstance(db, SqliteDatabase) else "BOOLEAN"
    false = "0" if isinstance(db, SqliteDatabase) else "FALSE"
    db.execute_sql(
        f"ALTER TABLE sign_in ADD COLUMN changes_email {boolean} NOT NULL DEFAULT {false}"
    )
