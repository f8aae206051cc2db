from datetime import date, timedelta

from retrain.deployment.policies import Performance
from retrain.judge import error_picture
from retrain.judge.day import Day, Error
from retrain.judge.performance import walk

POLICY = Performance(metrics="m", model="model", metric="mae", baselines=("pair_median",))
DAYS = [
    Day(
        (date(2020, 2, 1) + timedelta(days=n)).isoformat(), 330, 0, {}, (),
        Error("mae", 9.0 if n == 40 else 4 + n % 7 / 5, 3.5, 9.5), {"pair_median": 4.7},
    )
    for n in range(45)
]  # fmt: skip
RELEASES = {day.partition: "v1.0.0" if day.partition < "2020-03-01" else "v1.1.0" for day in DAYS}


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_picture_fits_a_phone_and_is_small() -> None:
    png = error_picture.draw(DAYS, walk(DAYS, POLICY), RELEASES, ["2020-02-20", "2020-03-05"], "minutes")
    assert size(png) == (1000, 600)
    assert len(png) < 120_000


def test_the_same_days_give_the_same_bytes() -> None:
    assert error_picture.draw(DAYS, [], RELEASES) == error_picture.draw(DAYS, [], RELEASES)


def test_releases_promotions_and_the_limit_are_marked() -> None:
    bare = error_picture.draw(DAYS, [], {})
    marked = [
        error_picture.draw(DAYS, [], RELEASES),
        error_picture.draw(DAYS, [], {}, ["2020-02-20"]),
        error_picture.draw(DAYS, walk(DAYS, POLICY), {}),
    ]
    assert len({bare, *marked}) == 4


def test_a_single_day_and_no_day_at_all_can_be_drawn() -> None:
    for days in (DAYS[:1], []):
        assert size(error_picture.draw(days, walk(days, POLICY), {})) == (1000, 600)
