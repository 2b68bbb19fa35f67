"""Where the practice says how it treats its clients' data."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE practice ADD COLUMN privacy_url VARCHAR(500) NOT NULL DEFAULT ''")
