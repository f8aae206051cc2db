from dataclasses import replace

import pytest

from retrain.errors import NoRawDataError
from retrain.run.manifest import Manifest, RawObject, of_listing
from retrain.run.run_spec import RunSpec

ROOT = "s3://raw-bucket/raw/yellow"


def landed(day: str, etag: str = "e" * 32) -> list[RawObject]:
    return [RawObject(f"dt={day}/part-0.parquet", etag, 10, "1"), RawObject(f"dt={day}/_SUCCESS", "0" * 32, 0, "1")]


def manifest(listing: list[RawObject], partition: str = "2020-03-05") -> Manifest:
    return of_listing("p", partition, ROOT, ["2020-03-03", "2020-03-04", "2020-03-05"], listing)


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
