"""Every pair of state and event is decided, one way or the other."""

import pytest

from booking.lifecycle import BIRTHS, LEGAL, Event, IllegalTransition, State, next_state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_of_state_and_event_is_decided(state, event):
    if (state, event) in LEGAL:
        assert next_state(state, event) is LEGAL[state, event]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


def test_every_state_can_be_reached():
    reached = set(BIRTHS.values())
    while more := {after for (state, _), after in LEGAL.items() if state in reached} - reached:
        reached |= more
    assert reached == set(State)


def test_what_is_over_stays_over():
    over = {State.ATTENDED, State.NO_SHOW, State.EXPIRED, State.LATE_CANCELLED,
            State.CANCELLED_BY_CLIENT}  # fmt: skip
    assert not {state for state, _ in LEGAL} & over


def test_what_the_practice_cancelled_can_only_be_offered_again():
    again = {event for state, event in LEGAL if state is State.CANCELLED_BY_PRACTICE}
    assert again == {Event.DISPLACE}
