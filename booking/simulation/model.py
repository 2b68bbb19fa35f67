"""What each verb may answer, and what it leads to: the lifecycle and the messages owed, again.

Every `…_answers` says what is right: `DONE`, or the names of the refusals that apply. Where that
is not `DONE`, a book that does it all the same is as wrong as one that refuses what is free.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from booking.simulation.rules import (
    Blocked,
    Decision,
    Rules,
    Session,
    Visit,
    Who,
    minutes,
    whole_seconds,
)

DONE = "done"
OPEN = ("requested", "offered", "confirmed")
TOOK_PLACE = ("attended", "no_show")

Answers = set[str]


def refusal(*rules: str | bool) -> Answers:
    """The names for which the fact beside them is true; `DONE` when none is."""
    pairs = zip(rules[::2], rules[1::2], strict=True)
    return {str(name) for name, applies in pairs if applies} or {DONE}


@dataclass
class Model(Rules):
    """What the book should say."""

    owed: Counter[tuple[int, str]] = field(default_factory=Counter)

    # Asking.

    def ask_answers(
        self, wish: Any, start: datetime, *, client: int, account: int, now: datetime,
        old: Visit | None,
    ) -> Answers:  # fmt: skip
        practice, service = self.setup.practice, self.setup.services[wish.service_id]
        pending = sum(v.account == account and v.state == "requested" for v in self.visits.values())
        who = Who(staff=False, account=account)
        answers = refusal(
            "NotForThisClient",
            not (
                service.active
                and service.online
                and (self.suits(service, client) or (old is not None and old.service == service.id))
            ),
            "TooManyPending", pending >= practice.max_pending,
            "NotYours", (account, client) not in self.access,
            "NotFree", not self.free_at(wish, start, now=now, staff=False),
        )  # fmt: skip
        if old is not None:
            answers |= refusal(
                "NotYours", not self.sees(who, old),
                "NotAllowed", not self.within_notice(old, self._move_notice, now),
                "NotAllowed", old.state != "confirmed",
                "AlreadyMoving", self.successor(old) is not None,
            )  # fmt: skip
        return answers - {DONE} or {DONE}

    @property
    def _move_notice(self) -> int | None:
        practice = self.setup.practice
        own = practice.move_notice_minutes
        return practice.cancel_notice_minutes if own is None else own

    def within_notice(self, visit: Visit, notice: int | None, now: datetime) -> bool:
        """Whether a client may still cancel or move by themselves."""
        if visit.state in ("requested", "offered"):
            return True
        return (
            visit.state == "confirmed"
            and visit.session.ends_at > now
            and notice is not None
            and visit.session.starts_at - now >= minutes(notice)
        )

    def asked(self, visit: Visit, *, now: datetime) -> None:
        practice = self.setup.practice
        until = min(
            now + minutes(practice.request_minutes),
            visit.session.starts_at - minutes(practice.answer_margin_minutes),
        )
        visit.wait(until, now)
        self.visits[visit.id] = visit
        self.owe(visit, "request_received", "staff_request_received")

    def owe(self, visit: Visit, *kinds: str) -> None:
        writable = visit.account is not None or visit.client in self.reachable
        self.owed.update((visit.id, k) for k in kinds if writable or k.startswith("staff_"))

    def successor(self, visit: Visit) -> Visit | None:
        return next(
            (
                v
                for v in self.visits.values()
                if v.replaces == visit.id and v.state in ("requested", "offered")
            ),
            None,
        )

    def has_rival(self, visit: Visit) -> bool:
        return any(
            v.chain == visit.chain and v.id not in (visit.id, visit.replaces) and v.state in OPEN
            for v in self.visits.values()
        )

    # Deciding.

    def accept_answers(self, visit: Visit, version: int, who: Who, *, now: datetime) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        if visit.version != version or not self._waits(visit, now):
            return {"ChangedMeanwhile"}
        wish = self.wish_of(visit, visit.session)
        free = self.free_at(wish, visit.session.starts_at, now=now, staff=True)
        return refusal("NotFree", not free)

    def _waits(self, visit: Visit, now: datetime) -> bool:
        late = visit.answer_by is not None and visit.answer_by <= now
        return visit.state == "requested" and not late

    def wish_of(self, visit: Visit, session: Session) -> "Wished":
        return Wished(
            visit.service,
            session.modality,
            session.location,
            (session.clinician,),
            tuple(self.people[visit.client]),
            visit.chain,
        )

    def accepted(self, visit: Visit, session: Session, *, now: datetime) -> None:
        assert visit.answer_by is not None
        decision = Decision(visit.version + 1, visit.answer_by, now)
        decision.new_client = visit.client not in self.known
        self._confirm(visit, session, now)
        visit.decision, visit.decided_at = decision, now
        self.owe(visit, "request_accepted")

    def _confirm(self, visit: Visit, session: Session, now: datetime) -> None:
        replaced = self.visits.get(visit.replaces or 0)
        if replaced is not None and replaced.state == "confirmed":
            replaced.move("moved")
        self.known.add(visit.client)
        visit.move("confirmed")
        visit.session, visit.offers = session, {}
        visit.remind_at = self._reminder(session.starts_at, now)

    def _reminder(self, start: datetime, now: datetime) -> datetime | None:
        before = self.setup.practice.reminder_minutes
        moment = None if before is None else start - minutes(before)
        return moment if moment and moment > now else None

    def deny_answers(
        self, visit: Visit, version: int, who: Who, offers: Iterable[Any], *, now: datetime
    ) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        wrong = visit.version != version
        wrong |= self.has_rival(visit) if visit.state == "denied" else not self._waits(visit, now)
        if wrong:
            return {"ChangedMeanwhile"}
        offers = list(offers)
        if not offers and visit.state == "denied":
            return {"IllegalTransition"}
        return self._hold_answers(visit, offers, now)

    def _hold_answers(self, visit: Visit, offers: list[Any], now: datetime) -> Answers:
        """Slots that need swaps may be in each other's way, or not, by which rooms are chosen."""
        practice, in_order = self.setup.practice, sorted(offers, key=lambda slot: slot.starts_at)
        answers: Answers = set()
        for before, slot in zip([None, *in_order], in_order, strict=False):
            if before is not None and slot.starts_at < before.ends_at + (
                visit.before + visit.after
                if slot.clinician_id == before.clinician_id
                else timedelta()
            ):
                answers.add("OffersOverlap")
            wish = self.wish_of(visit, session_of(slot))
            held_until = min(
                now + minutes(practice.offer_minutes),
                slot.starts_at - minutes(practice.answer_margin_minutes),
            )
            if held_until <= now or not self.free_at(wish, slot.starts_at, now=now, staff=True):
                answers.add("NotFree")
            elif (
                len(in_order) > 1
                and wish.modality == "in_person"
                and self.room_swaps(wish, slot.starts_at, slot.ends_at, now)
            ):
                answers |= {"NotFree", DONE}
        return answers or {DONE}

    def denied(self, visit: Visit, offers: dict[int, Session], *, now: datetime) -> None:
        asked_until = visit.answer_by
        fresh = visit.state == "requested"
        visit.move("offered" if offers else "denied")
        if fresh and asked_until is not None:
            visit.decision = Decision(visit.version, asked_until, now)
        visit.decided_at = now
        self._hold(visit, offers, now)
        self.owe(visit, "slots_offered" if offers else "request_denied")

    def _hold(self, visit: Visit, offers: dict[int, Session], now: datetime) -> None:
        practice = self.setup.practice
        visit.offers = offers
        for session in offers.values():
            session.held_until = min(
                now + minutes(practice.offer_minutes),
                session.starts_at - minutes(practice.answer_margin_minutes),
            )
        if offers:
            visit.wait(max(s.held_until for s in offers.values() if s.held_until), now)

    def displace_answers(
        self, visit: Visit, version: int, who: Who, offers: Iterable[Any], *, now: datetime
    ) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        offers = list(offers)
        stands = visit.state == "confirmed" and visit.session.starts_at > now
        since = None if visit.state == "offered" else visit.displaced_at
        wrong = visit.version != version or not (stands or since) or not offers
        if wrong or self.has_rival(visit) or (since and self._asked_anew(visit, since)):
            return {"ChangedMeanwhile"}
        return self._hold_answers(visit, offers, now)

    def _asked_anew(self, visit: Visit, since: datetime) -> bool:
        return any(
            v.client == visit.client
            and v.chain != visit.chain
            and v.state in OPEN + TOOK_PLACE
            and self.visits[v.chain].service == visit.service
            and self.visits[v.chain].asked_at >= since
            for v in self.visits.values()
        )

    def displaced(self, visit: Visit, offers: dict[int, Session], *, now: datetime) -> None:
        visit.move("offered")
        visit.decided_at = visit.displaced_at = now
        self._hold(visit, offers, now)
        self.owe(visit, "session_displaced")

    def undo_answers(self, visit: Visit, who: Who, *, now: datetime) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        decision = visit.decision
        seconds = timedelta(seconds=self.setup.practice.undo_seconds)
        if (
            decision is None
            or decision.version != visit.version
            or now >= decision.at + seconds
            or self.has_rival(visit)
        ):
            return {"TooLateToUndo"}
        replaced = self._was_replaced(visit)
        back = [visit, *([] if replaced is None else [replaced])]
        if any(self._collides(each) for each in back):
            return {"SlotTaken"}
        return {DONE, "TooLateToUndo"} if visit.reminded == visit.version else {DONE}

    def _was_replaced(self, visit: Visit) -> Visit | None:
        replaced = self.visits.get(visit.replaces or 0)
        return replaced if replaced is not None and replaced.state == "moved" else None

    def _collides(self, visit: Visit) -> bool:
        """Whether somebody else has the visit's time by now, or its room, or its people."""
        mine = visit.session
        for other, s in self._sessions():
            if other.chain == visit.chain:
                continue
            if s.clinician == mine.clinician and (
                mine.starts_at - visit.before < s.ends_at + other.after
                and s.starts_at - other.before < mine.ends_at + visit.after
            ):
                return True
            together = s.starts_at < mine.ends_at and mine.starts_at < s.ends_at
            if together and self.people[visit.client] & self.people[other.client]:
                return True
            if mine.room is not None and s.room == mine.room:
                turnover = minutes(self.setup.rooms[s.room].turnover_minutes)
                if mine.starts_at < s.ends_at + turnover and s.starts_at < mine.ends_at + turnover:
                    return True
        return False

    def undone(self, visit: Visit, *, now: datetime) -> None:
        decision, replaced = visit.decision, self._was_replaced(visit)
        assert decision is not None
        others = (
            v.client == visit.client and v.id != visit.id and v.state in ("confirmed", *TOOK_PLACE)
            for v in self.visits.values()
        )
        if decision.new_client and not any(others):
            self.known.discard(visit.client)
        visit.move("requested")
        visit.offers, visit.decision, visit.decided_at = {}, None, None
        visit.answer_by = decision.answer_by
        halfway = visit.asked_at + (decision.answer_by - visit.asked_at) / 2
        visit.halfway_at = whole_seconds(halfway) if halfway > decision.at else None
        if replaced is not None:
            replaced.move("confirmed")
            replaced.remind_at = self._reminder(replaced.session.starts_at, now)

    # Choosing, ending.

    def take_answers(self, visit: Visit, offer_id: int, who: Who, *, now: datetime) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        offer = visit.offers.get(offer_id)
        if offer is None or offer.held_until is None or offer.held_until <= now:
            return {"OfferGone"}
        wish = self.wish_of(visit, offer)
        return refusal("NotFree", not self.free_at(wish, offer.starts_at, now=now, staff=True))

    def taken(self, visit: Visit, session: Session, *, now: datetime) -> None:
        self._confirm(visit, session, now)
        self.owe(visit, "offer_taken", "staff_offer_taken")

    def decline_answers(self, visit: Visit, who: Who) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        return refusal("ChangedMeanwhile", visit.state != "offered")

    def declined(self, visit: Visit, *, now: datetime) -> None:
        if visit.displaced_at is not None:
            self._lose(visit)
        else:
            visit.move("denied")
            visit.offers = {}
            self.owe(visit, "staff_offer_declined")
        visit.decided_at = now

    def _lose(self, visit: Visit) -> None:
        since = visit.displaced_at
        visit.move("cancelled_by_practice")
        visit.offers, visit.displaced_at = {}, since
        self.owe(visit, "appointment_cancelled", "staff_offer_declined")

    def cancel_answers(self, visit: Visit, who: Who, *, now: datetime) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        notice = self.setup.practice.cancel_notice_minutes
        return refusal("NotAllowed", not self.within_notice(visit, notice, now))

    def cancelled(self, visit: Visit) -> None:
        self._end_with_successor(visit, "cancelled_by_client")
        self.owe(visit, "appointment_cancelled", "staff_appointment_cancelled")

    def _end_with_successor(self, visit: Visit, state: str) -> None:
        for each in filter(None, [self.successor(visit), visit]):
            each.move(state)
            each.offers = {}

    def cancel_for_client_answers(self, visit: Visit, version: int, who: Who) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        if visit.version != version:
            return {"ChangedMeanwhile"}
        return refusal("IllegalTransition", visit.state not in OPEN)

    def cancelled_for_client(self, visit: Visit) -> None:
        self._end_with_successor(visit, "cancelled_by_practice")
        self.owe(visit, "appointment_cancelled")

    def close_answers(self, visit: Visit, who: Who, *, now: datetime) -> Answers:
        if not self.sees(who, visit):
            return {"NotYours"}
        begun = visit.state == "confirmed" and visit.session.starts_at <= now
        return refusal("ChangedMeanwhile", not begun)

    def erase_answers(self, clients: set[int], *, now: datetime) -> Answers:
        counted_on = (
            v.client in clients
            and v.state in OPEN
            and (v.state != "confirmed" or v.session.ends_at > now)
            for v in self.visits.values()
        )
        return refusal("StillOpen", any(counted_on))

    # Staff's own doing.

    def book_answers(
        self, wish: Any, start: datetime, who: Who, *, now: datetime, old: Visit | None
    ) -> Answers:
        if start <= now:
            return {"NotFree"}
        if old is not None and not self.sees(who, old):
            return {"NotYours"}
        free = self.free_at(wish, start, now=now, staff=True)
        others = set(wish.clinician_ids) - {who.clinician}
        answers = refusal(
            "NotFree", not free,
            "NotYours", bool(free) and not who.manager and who.clinician not in wish.clinician_ids,
            "IllegalTransition", old is not None and old.state != "confirmed",
        )  # fmt: skip
        # Of several who could, it is the one with the least to do, who may be somebody else.
        return answers | {"NotYours"} if free and others and not who.manager else answers

    def booked(self, visit: Visit, old: Visit | None, *, now: datetime) -> None:
        if old is not None:
            successor = self.successor(old)
            if successor is not None:
                successor.move("cancelled_by_practice")
                successor.offers = {}
            old.move("moved")
        visit.remind_at = self._reminder(visit.session.starts_at, now)
        self.known.add(visit.client)
        self.visits[visit.id] = visit
        self.owe(visit, "appointment_moved" if old else "appointment_booked")

    def block_answers(self, who: Who, clinician: int | None) -> Answers:
        return refusal("NotYours", not who.manager and who.clinician != clinician)

    def report_answers(self, who: Who, block: Blocked, planned: set[int]) -> Answers:
        """`planned` are the blocked times that have a joint plan."""
        if self.block_answers(who, block.clinician) != {DONE}:
            return {"NotYours"}
        about = (block.clinician, block.room, block.location)
        alike = {
            id_: b for id_, b in self.blocked.items() if (b.clinician, b.room, b.location) == about
        }
        met = {id_ for id_, b in alike.items() if b.meets(block.starts_at, block.ends_at)}
        if met & planned:
            return {"AlreadyPlanned"}
        around = any(
            b.starts_at <= block.starts_at and b.ends_at >= block.ends_at for b in alike.values()
        )
        return refusal("AlreadyReported", around)

    # What time alone does.

    def worker_ran(self, *, now: datetime) -> None:
        """Deadlines, in the order in which they are looked at."""
        due = list(self.visits.values())
        for visit in due:
            if visit.state == "requested" and visit.answer_by and visit.answer_by <= now:
                visit.move("expired")
                self.owe(visit, "request_expired", "staff_request_expired")
        for visit in due:
            if visit.state == "offered" and visit.answer_by and visit.answer_by <= now:
                self._lapse(visit)
        for visit in due:
            if visit.halfway_at and visit.halfway_at <= now:
                asked = visit.state == "requested"
                self.owe(visit, "staff_request_waiting" if asked else "offer_reminded")
                visit.halfway_at, visit.reminded = None, visit.version
        for visit in due:
            if visit.state == "confirmed" and visit.remind_at and visit.remind_at <= now:
                self.owe(visit, "session_reminded")
                visit.remind_at, visit.reminded = None, visit.version
        for visit in due:
            visit.offers = {
                id_: s for id_, s in visit.offers.items() if s.held_until and s.held_until > now
            }

    def _lapse(self, visit: Visit) -> None:
        if visit.displaced_at is not None:
            self._lose(visit)
            return
        visit.move("denied")
        visit.offers = {}
        self.owe(visit, "offer_lapsed", "staff_offer_declined")


@dataclass(frozen=True, slots=True)
class Wished:
    """What a visit is, for looking at a time of it again."""

    service_id: int
    modality: str
    location_id: int | None
    clinician_ids: tuple[int, ...]
    person_ids: tuple[int, ...]
    chain: int | None


def session_of(row: Any) -> Session:
    """A row's time, or an offered slot's, as the model keeps it."""
    return Session(
        clinician=row.clinician_id,
        location=row.location_id,
        seat=row.clinician_location_id,
        room=row.room_id,
        modality=str(row.modality),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )
