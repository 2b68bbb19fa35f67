"""All tables as they were at first. Frozen: a later migration changes them, never an edit here."""

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Check,
    ForeignKeyField,
    IntegerField,
    JSONField,
    TextField,
    Model,
)


def up(migrator, db):
    class Clinician(Model):
        key = CharField(unique=True, max_length=40)
        name = CharField()
        title = CharField(max_length=120, default="")
        email = CharField()
        max_sessions_day = IntegerField(null=True)
        notice_minutes = IntegerField(null=True)
        horizon_days = IntegerField(null=True)
        position = IntegerField(default=0)
        active = BooleanField(default=True)

        class Meta:
            database = db
            table_name = "clinician"

    db.create_tables([Clinician])

    class Account(Model):
        email = CharField(unique=True)
        name = CharField()
        phone = CharField(max_length=40, default="")
        language = CharField(max_length=10, default="es")
        zone = CharField(max_length=64, default="")
        clinician = ForeignKeyField(Clinician, null=True, backref="+")
        manager = BooleanField(default=False)
        created_at = BigIntegerField()
        consented_at = BigIntegerField(null=True)
        disabled_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "account"

    db.create_tables([Account])

    class Client(Model):
        kind = CharField(max_length=10, default="adult")
        name = CharField()
        email = CharField(index=True, default="")
        phone = CharField(max_length=40, default="")
        birth_date = CharField(null=True)
        clinician = ForeignKeyField(Clinician, null=True, backref="+")
        first_member = ForeignKeyField("self", null=True, backref="+")
        second_member = ForeignKeyField("self", null=True, backref="+")
        known_since = BigIntegerField(null=True)
        created_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "client"

    db.create_tables([Client])

    class Access(Model):
        account = ForeignKeyField(Account, on_delete="CASCADE", backref="+")
        client = ForeignKeyField(Client, on_delete="CASCADE", backref="+")
        relation = CharField(max_length=10)

        class Meta:
            database = db
            table_name = "access"
            indexes = ((("account", "client"), True),)

    db.create_tables([Access])

    class Service(Model):
        key = CharField(unique=True, max_length=40)
        name = CharField()
        description = TextField(default="")
        minutes = IntegerField()
        buffer_before = IntegerField(default=0)
        buffer_after = IntegerField(default=0)
        room_features = JSONField(default=list)
        seats = IntegerField(default=2)
        in_person = BooleanField(default=True)
        video = BooleanField(default=False)
        online = BooleanField(default=True)
        audience = CharField(max_length=10, default="everyone")
        client_kinds = JSONField(default=list)
        position = IntegerField(default=0)
        active = BooleanField(default=True)

        class Meta:
            database = db
            table_name = "service"

    db.create_tables([Service])

    class Location(Model):
        key = CharField(unique=True, max_length=40)
        name = CharField()
        address = CharField(max_length=500)
        map_query = CharField(max_length=500)
        directions = TextField(default="")
        zone = CharField(max_length=64)
        position = IntegerField(default=0)
        active = BooleanField(default=True)

        class Meta:
            database = db
            table_name = "location"

    db.create_tables([Location])

    class Room(Model):
        key = CharField(unique=True, max_length=40)
        location = ForeignKeyField(Location, backref="+")
        name = CharField()
        features = JSONField(default=list)
        seats = IntegerField(default=2)
        turnover_minutes = IntegerField(default=0)
        position = IntegerField(default=0)
        active = BooleanField(default=True)

        class Meta:
            database = db
            table_name = "room"

    db.create_tables([Room])

    class Appointment(Model):
        chain = BigIntegerField(index=True, default=0)
        replaces = ForeignKeyField("self", null=True, backref="+")
        account = ForeignKeyField(Account, null=True, backref="+")
        client = ForeignKeyField(Client, backref="+")
        service = ForeignKeyField(Service, backref="+")
        clinician = ForeignKeyField(Clinician, backref="+")
        location = ForeignKeyField(Location, null=True, backref="+")
        clinician_location = ForeignKeyField(Location, null=True, backref="+")
        room = ForeignKeyField(Room, null=True, backref="+")
        room_pinned = BooleanField(default=False)
        modality = CharField(max_length=12)
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        asked_starts_at = BigIntegerField()
        buffer_before = IntegerField()
        buffer_after = IntegerField()
        state = CharField(max_length=24)
        version = IntegerField(default=1)
        asked_at = BigIntegerField()
        decided_at = BigIntegerField(null=True)
        answer_by = BigIntegerField(null=True)
        halfway_at = BigIntegerField(null=True)
        remind_at = BigIntegerField(null=True)
        note = TextField(default="")
        wish = JSONField(default=dict)

        class Meta:
            database = db
            table_name = "appointment"
            indexes = (
                (("clinician", "starts_at"), False),
                (("client", "starts_at"), False),
                (("state", "answer_by"), False),
                (("state", "halfway_at"), False),
                (("state", "remind_at"), False),
            )

    db.create_tables([Appointment])

    class BlockedTime(Model):
        clinician = ForeignKeyField(Clinician, backref="+")
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        reason = CharField(max_length=200, default="")
        created_at = BigIntegerField()
        removed_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "blocked_time"
            indexes = ((("clinician", "starts_at"), False),)

    db.create_tables([BlockedTime])

    class ClinicianService(Model):
        clinician = ForeignKeyField(Clinician, backref="+")
        service = ForeignKeyField(Service, backref="+")

        class Meta:
            database = db
            table_name = "clinician_service"
            indexes = ((("clinician", "service"), True),)

    db.create_tables([ClinicianService])

    class History(Model):
        appointment = ForeignKeyField(Appointment, backref="+")
        version = IntegerField()
        event = CharField(max_length=24)
        before = CharField(max_length=24)
        after = CharField(max_length=24)
        actor = CharField(max_length=12)
        account = ForeignKeyField(Account, null=True, backref="+")
        at = BigIntegerField()
        starts_at = BigIntegerField()
        detail = JSONField(default=dict)

        class Meta:
            database = db
            table_name = "history"
            indexes = ((("appointment", "version"), True),)

    db.create_tables([History])

    class Holiday(Model):
        day = CharField(unique=True)
        name = CharField()

        class Meta:
            database = db
            table_name = "holiday"

    db.create_tables([Holiday])

    class Hours(Model):
        clinician = ForeignKeyField(Clinician, backref="+")
        location = ForeignKeyField(Location, null=True, backref="+")
        weekday = IntegerField(null=True)
        day = CharField(null=True)
        opens = IntegerField(null=True)
        closes = IntegerField(null=True)
        in_person = BooleanField(default=True)
        video = BooleanField(default=False)
        reason = CharField(max_length=200, default="")

        class Meta:
            database = db
            table_name = "hours"

    db.create_tables([Hours])

    class Occupancy(Model):
        resource = CharField(max_length=10)
        resource_id = BigIntegerField()
        chain = BigIntegerField(index=True)
        busy_from = BigIntegerField()
        busy_until = BigIntegerField()

        class Meta:
            database = db
            table_name = "occupancy"
            constraints = [Check("busy_until > busy_from AND busy_until - busy_from <= 86400")]
            indexes = ((("resource", "resource_id", "busy_from"), False),)

    db.create_tables([Occupancy])

    class OfferedSlot(Model):
        appointment = ForeignKeyField(Appointment, backref="+")
        rank = IntegerField()
        clinician = ForeignKeyField(Clinician, backref="+")
        location = ForeignKeyField(Location, null=True, backref="+")
        clinician_location = ForeignKeyField(Location, null=True, backref="+")
        room = ForeignKeyField(Room, null=True, backref="+")
        modality = CharField(max_length=12)
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        held_until = BigIntegerField()
        state = CharField(max_length=8, default="held")

        class Meta:
            database = db
            table_name = "offered_slot"
            indexes = ((("clinician", "starts_at"), False), (("state", "held_until"), False))

    db.create_tables([OfferedSlot])

    class OneTimeKey(Model):
        value = CharField(unique=True, max_length=100)
        fingerprint = CharField(max_length=64)
        answer = IntegerField()
        used_at = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "one_time_key"

    db.create_tables([OneTimeKey])

    class SignIn(Model):
        email = CharField(index=True)
        account = ForeignKeyField(Account, null=True, backref="+")
        registration = JSONField(null=True)
        nonce = CharField(unique=True, max_length=32)
        browser = CharField(max_length=64)
        next_path = CharField(max_length=500, default="")
        tries = IntegerField(default=0)
        created_at = BigIntegerField()
        expires_at = BigIntegerField()
        used_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "sign_in"

    db.create_tables([SignIn])

    class OutboxMessage(Model):
        kind = CharField(max_length=40)
        audience = CharField(max_length=10)
        recipient = CharField()
        language = CharField(max_length=10)
        appointment = ForeignKeyField(Appointment, null=True, backref="+")
        version = IntegerField(default=0)
        sign_in = ForeignKeyField(SignIn, null=True, backref="+")
        context = JSONField(default=dict)
        message_id = CharField(unique=True)
        state = CharField(max_length=8, default="waiting")
        created_at = BigIntegerField()
        due_at = BigIntegerField()
        claimed_until = BigIntegerField(null=True)
        attempts = IntegerField(default=0)
        error = TextField(default="")
        sent_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "outbox_message"
            indexes = (
                (("state", "due_at"), False),
                (("appointment", "version", "kind", "recipient"), True),
            )

    db.create_tables([OutboxMessage])

    class Practice(Model):
        name = CharField()
        sender_name = CharField()
        phone = CharField(max_length=40)
        email = CharField()
        zone = CharField(max_length=64)
        region = CharField(max_length=10, default="es_419")
        clinician_word = CharField(max_length=40, default="médico")
        client_word = CharField(max_length=40, default="cliente")
        english_labels = BooleanField(default=True)
        grid_minutes = IntegerField(default=15)
        notice_minutes = IntegerField(default=1440)
        horizon_days = IntegerField(default=60)
        cancel_notice_minutes = IntegerField(null=True)
        move_notice_minutes = IntegerField(null=True)
        max_pending = IntegerField(default=3)
        request_minutes = IntegerField(default=4320)
        offer_minutes = IntegerField(default=2880)
        answer_margin_minutes = IntegerField(default=120)
        reminder_minutes = IntegerField(null=True, default=1440)
        undo_seconds = IntegerField(default=30)
        revision = IntegerField(default=1)

        class Meta:
            database = db
            table_name = "practice"

    db.create_tables([Practice])

    class Travel(Model):
        origin = ForeignKeyField(Location, backref="+")
        destination = ForeignKeyField(Location, backref="+")
        minutes = IntegerField()

        class Meta:
            database = db
            table_name = "travel"

    db.create_tables([Travel])

    class WebSession(Model):
        token_hash = CharField(unique=True, max_length=64)
        account = ForeignKeyField(Account, on_delete="CASCADE", backref="+")
        created_at = BigIntegerField()
        expires_at = BigIntegerField()
        ended_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "web_session"

    db.create_tables([WebSession])
