import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retrain.deployment.run_settings import RunSettings
from retrain.deployment.sections import Input
from retrain.errors import NoRawDataError, NotLandedError
from retrain.run.landed import LandingRule
from retrain.run.manifest import ListedRaw, Manifest, RawObject, of_listing
from retrain.run.raw_layout import RawLayout
from retrain.run.run_spec import RunSpec

ROOT = "s3://raw-bucket/raw/yellow"
WINDOW = ["2020-03-03", "2020-03-04", "2020-03-05"]
AT = datetime(2020, 3, 6, tzinfo=UTC)
# The text of `of_899b122`, the digest and the run key, as the code of that commit wrote them.
TEXT_OF_899B122 = """\
{
 "objects": [
  {
   "etag": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
   "key": "dt=2020-03-03/hour=07/part 1 \\u00e9.csv",
   "size": 0,
   "version_id": null
  },
  {
   "etag": "00000000000000000000000000000001",
   "key": "dt=2020-03-03/part-0.parquet",
   "size": 101,
   "version_id": "version 1"
  },
  {
   "etag": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
   "key": "dt=2020-03-05/hour=07/part 1 \\u00e9.csv",
   "size": 0,
   "version_id": null
  },
  {
   "etag": "00000000000000000000000000000003",
   "key": "dt=2020-03-05/part-0.parquet",
   "size": 103,
   "version_id": "version 3"
  }
 ],
 "partition": "2020-03-05",
 "pipeline": "taxi",
 "root": "s3://raw-bucket/raw/yellow",
 "schema_version": 1
}
"""
DIGEST_OF_899B122 = "f3ffe6a1f737d91c90e740e2a5105b88a5ce7093baba98ce0cc503cd12597e2e"
RUN_KEY_OF_899B122 = "13501ac95fdf91e37744f26cb4a9fabbebda96cde20d8a3c70ee0f29156c6081"


def landed(day: str, etag: str = "e" * 32) -> list[RawObject]:
    return [RawObject(f"dt={day}/part-0.parquet", etag, 10, "1"), RawObject(f"dt={day}/_SUCCESS", "0" * 32, 0, "1")]


def manifest(listing: list[RawObject], partition: str = "2020-03-05") -> Manifest:
    return of_listing("p", partition, ROOT, WINDOW, [ListedRaw(each, AT) for each in listing], AT)


def of_899b122(settings: RunSettings | None = None) -> Manifest:
    """A manifest of the default layout: the second day has no marker, the first is not in the window."""
    listing = []
    for number, day in enumerate(("2020-03-02", *WINDOW)):
        listing += [
            RawObject(f"dt={day}/part-0.parquet", f"{number:032x}", 100 + number, f"version {number}"),
            RawObject(f"dt={day}/hour=07/part 1 \u00e9.csv", "e" * 32, 0, None),
        ]
        if day != "2020-03-04":
            listing.append(RawObject(f"dt={day}/_SUCCESS", "d" * 32, 0, f"marker {number}"))
    listed = [ListedRaw(each, AT) for each in listing]
    return of_listing("taxi", "2020-03-05", ROOT, WINDOW, listed, AT, LandingRule(), settings)


def test_a_manifest_without_settings_and_its_run_key_are_those_of_before_there_were_any() -> None:
    made = of_899b122()
    assert made.to_json() == TEXT_OF_899B122
    assert made.digest == hashlib.sha256(TEXT_OF_899B122.encode()).hexdigest() == DIGEST_OF_899B122
    assert RunSpec("taxi", "2020-03-05", "v1.0.0", "c" * 40, made.digest).run_key == RUN_KEY_OF_899B122


@pytest.mark.parametrize(
    "settings",
    [
        RunSettings(partition="ds={partition}"),
        RunSettings(inputs=(Input(path="data/raw"),)),
        RunSettings(params={"params.yaml": {"data.date": "{partition}"}}),
        RunSettings(fetch=("download",)),
        RunSettings(refetch=1),
    ],
    ids=lambda settings: next(iter(settings.to_document())),
)
def test_each_setting_that_can_change_the_bytes_makes_another_manifest_that_reads_back(settings: RunSettings) -> None:
    plain, made = of_899b122(), Manifest("taxi", "2020-03-05", ROOT, of_899b122().objects, settings)
    assert made.digest != plain.digest
    assert '"schema_version": 2' in made.to_json()
    assert Manifest.from_json(made.to_json().encode(), "s3://ledger/manifest.json") == made


def test_a_pipeline_without_raw_data_has_a_manifest_without_objects_that_reads_back() -> None:
    made = Manifest("taxi", "2020-03-05", "", (), RunSettings(fetch=("download",)))
    assert Manifest.from_json(made.to_json().encode(), "s3://ledger/manifest.json") == made
    assert (made.days, made.versioned, made.overwritten([])) == (0, True, [])


def test_the_days_with_data_are_counted_by_the_layout_of_the_run() -> None:
    keys = ("trips_20200304.csv", "trips_20200305.csv", "trips_20200305.csv/b")
    objects = tuple(RawObject(key, "e" * 32, 1, None) for key in keys)
    made = Manifest("taxi", "2020-03-05", ROOT, objects, RunSettings(partition="trips_{year}{month}{day}.csv"))
    assert made.days == len({"2020-03-04", "2020-03-05"})
    assert of_899b122().days == len({"2020-03-03", "2020-03-05"})


def test_objects_that_are_still_coming_are_refused_with_the_wait_to_clear() -> None:
    quiet = LandingRule(RawLayout(marker=None), timedelta(minutes=30))
    listing = [ListedRaw(each, AT) for each in landed("2020-03-05")]
    with pytest.raises(NotLandedError, match=r"none for 30 minutes\. Clear wait_for_partition"):
        of_listing("p", "2020-03-05", ROOT, WINDOW, listing, AT + timedelta(minutes=29), quiet)
    found = of_listing("p", "2020-03-05", ROOT, WINDOW, listing, AT + timedelta(minutes=30), quiet)
    assert [each.key for each in found.objects] == ["dt=2020-03-05/part-0.parquet"]


def test_a_day_whose_marker_is_gone_again_is_refused_with_the_wait_to_clear() -> None:
    with pytest.raises(NotLandedError, match=r"Awaited: .*/dt=2020-03-05/_SUCCESS\. Clear wait_for_partition"):
        manifest(landed("2020-03-05")[:1])


def test_a_day_without_marker_has_not_landed_and_is_left_out() -> None:
    listing = landed("2020-03-05") + landed("2020-03-04")[:1]
    assert [o.key for o in manifest(listing).objects] == ["dt=2020-03-05/part-0.parquet"]


def test_days_outside_the_window_are_left_out() -> None:
    listing = landed("2020-03-05") + landed("2020-03-06") + landed("2019-01-01")
    assert [o.key for o in manifest(listing).objects] == ["dt=2020-03-05/part-0.parquet"]


def test_a_marker_without_data_is_refused_by_name() -> None:
    with pytest.raises(NoRawDataError, match="dt=2020-03-05"):
        manifest(landed("2020-03-04") + landed("2020-03-05")[1:])


def test_the_order_of_the_listing_does_not_change_the_digest() -> None:
    listing = landed("2020-03-03") + landed("2020-03-05")
    assert manifest(listing).digest == manifest(listing[::-1]).digest


def test_a_corrected_object_is_another_run() -> None:
    first, second = manifest(landed("2020-03-05")), manifest(landed("2020-03-05", etag="f" * 32))
    keys = {RunSpec("p", "2020-03-05", "v1.0.0", "a" * 40, m.digest).run_key for m in (first, second)}
    assert len(keys) == 2


def test_the_parameters_of_the_day_do_not_name_the_release_so_unchanged_stages_stay_cached() -> None:
    one = RunSpec("p", "2020-03-05", "v1.0.0", "a" * 40, "d")
    two = RunSpec("p", "2020-03-05", "v1.1.0", "b" * 40, "d")
    assert one.run_yaml() == two.run_yaml()
    assert "'2020-03-05'" in one.run_yaml()


def test_a_spec_survives_xcom() -> None:
    spec = RunSpec("p", "2020-03-05", "v1.0.0", "a" * 40, "d")
    assert RunSpec.from_dict({**spec.to_dict(), "dag_run": "manual__1"}) == spec


def test_bytes_that_have_a_version_can_be_had_after_an_overwrite_and_others_cannot() -> None:
    old, now = landed("2020-03-05"), landed("2020-03-05", "f" * 32)
    assert manifest(old).versioned
    assert manifest(old).overwritten(now) == []
    unversioned = manifest([replace(item, version_id=None) for item in old])
    assert not unversioned.versioned
    assert unversioned.overwritten(old) == []
    assert unversioned.overwritten(now) == unversioned.overwritten([]) == ["dt=2020-03-05/part-0.parquet"]
