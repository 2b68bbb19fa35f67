"""The second factor of staff, what a session knows about its device, and tries that are counted."""

from peewee import (
    BigIntegerField,
    CharField,
    ForeignKeyField,
    IntegerField,
    Model,
)


def up(migrator, db):
    class Account(Model):
        class Meta:
            database = db
            table_name = "account"

    class Factor(Model):
        account = ForeignKeyField(Account, unique=True, on_delete="CASCADE", backref="+")
        nonce = CharField(unique=True, max_length=64)
        last_step = BigIntegerField(default=0)
        created_at = BigIntegerField()
        codes_kept_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "factor"

    db.create_tables([Factor])

    class RecoveryCode(Model):
        factor = ForeignKeyField(Factor, on_delete="CASCADE", backref="+")
        number = IntegerField()
        used_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "recovery_code"
            indexes = ((("factor", "number"), True),)

    class KnownDevice(Model):
        account = ForeignKeyField(Account, on_delete="CASCADE", backref="+")
        token_hash = CharField(unique=True, max_length=64)
        created_at = BigIntegerField()
        expires_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "known_device"

    class Attempt(Model):
        kind = CharField(max_length=20)
        subject = CharField(max_length=64)
        at = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "attempt"
            indexes = ((("kind", "subject", "at"), False),)

    class AccountEvent(Model):
        account = ForeignKeyField(Account, on_delete="CASCADE", backref="+")
        event = CharField(max_length=20)
        by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="+")
        at = BigIntegerField()

        class Meta:
            database = db
            table_name = "account_event"

    db.create_tables([RecoveryCode, KnownDevice, Attempt, AccountEvent])
    migrator.migrate(
        migrator.add_column("web_session", "cleared_at", BigIntegerField(null=True)),
        migrator.add_column("web_session", "proved_at", BigIntegerField(null=True)),
        migrator.add_column("web_session", "device", CharField(max_length=40, default="")),
    )
