"""Blocked time of rooms and offices, sessions that the practice has to move, and joint plans."""

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Check,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    PostgresqlDatabase,
)

OF_ONE = (
    "CASE WHEN clinician_id IS NULL THEN 0 ELSE 1 END + CASE WHEN room_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN location_id IS NULL THEN 0 ELSE 1 END = 1"
)


def up(migrator, db):
    class Clinician(Model):
        class Meta:
            database = db
            table_name = "clinician"

    class Room(Model):
        class Meta:
            database = db
            table_name = "room"

    class Location(Model):
        class Meta:
            database = db
            table_name = "location"

    class Account(Model):
        class Meta:
            database = db
            table_name = "account"

    class Appointment(Model):
        class Meta:
            database = db
            table_name = "appointment"

    class BlockedTime(Model):
        clinician = ForeignKeyField(Clinician, null=True, backref="+")
        room = ForeignKeyField(Room, null=True, backref="+")
        location = ForeignKeyField(Location, null=True, backref="+")
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        reason = CharField(max_length=200, default="")
        created_at = BigIntegerField()
        removed_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "blocked_time"
            indexes = ((("clinician", "starts_at"), False),)
            constraints = [Check(OF_ONE)]

    db.execute_sql("CREATE TABLE kept AS SELECT * FROM blocked_time")
    db.execute_sql("DROP TABLE blocked_time")  # SQLite cannot let go of a NOT NULL otherwise.
    db.create_tables([BlockedTime])
    db.execute_sql(
        """
        INSERT INTO blocked_time
            (id, clinician_id, starts_at, ends_at, reason, created_at, removed_at)
        SELECT id, clinician_id, starts_at, ends_at, reason, created_at, removed_at FROM kept
        """
    )
    db.execute_sql("DROP TABLE kept")
    if isinstance(db, PostgresqlDatabase):  # The ids that were brought along count, too.
        db.execute_sql(
            "SELECT setval(pg_get_serial_sequence('blocked_time', 'id'), MAX(id))"
            " FROM blocked_time HAVING MAX(id) IS NOT NULL"
        )

    migrator.migrate(migrator.add_column("appointment", "displaced_at", BigIntegerField(null=True)))

    class Replan(Model):
        blocked = ForeignKeyField(BlockedTime, unique=True, backref="+")
        account = ForeignKeyField(Account, backref="+")
        allowed = JSONField()
        state = CharField(max_length=10, default="queued")
        run = IntegerField(default=0)
        claimed_until = BigIntegerField(null=True)
        progress = JSONField(default=dict)
        quick = BooleanField(default=False)
        proven = BooleanField(default=False)
        objective = IntegerField(null=True)
        bound = IntegerField(null=True)
        gap_minutes = JSONField(null=True)
        input_hash = CharField(max_length=64, default="")
        failure = CharField(max_length=10, default="")
        created_at = BigIntegerField()
        finished_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "replan"
            indexes = ((("state", "claimed_until"), False),)

    db.create_tables([Replan])

    class ReplanRow(Model):
        replan = ForeignKeyField(Replan, on_delete="CASCADE", backref="+")
        appointment = ForeignKeyField(Appointment, backref="+")
        version = IntegerField()
        starts_at = BigIntegerField()
        pinned = BooleanField(default=False)
        excluded = BooleanField(default=False)
        other_clinicians = BooleanField(default=False)
        options = JSONField(default=list)
        explanation = JSONField(null=True)
        refusal = JSONField(default=list)
        approved_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "replan_row"
            indexes = ((("replan", "appointment"), True),)

    db.create_tables([ReplanRow])
