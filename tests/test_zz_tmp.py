from tests.test_invariants import *


@pytest.mark.parametrize("seed", range(1, 7))
def test_x(db, seed):
    life = Life(seed)
    for _ in range(5):
        life.walk(STEPS)
        life.sleep(timedelta(days=2))
    happened = {row.event for row in History.select()}
    print(
        "SEED", seed, set(Event) - happened, sum(":" not in s for s in life.told) / len(life.told)
    )
    assert 0
