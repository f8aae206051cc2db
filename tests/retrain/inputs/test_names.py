"""Which object of the manifest gets which path in the checkout, and which names are refused."""

from __future__ import annotations

import pytest

from retrain.deployment.run_settings import RunSettings
from retrain.deployment.sections import Input
from retrain.inputs.errors import InputNamesError
from retrain.inputs.names import placed
from retrain.run.manifest import Manifest, RawObject

DAY = "2020-03-05"
WINDOW = ("dt=2020-03-04/orders.csv", "dt=2020-03-05/orders.csv", "dt=2020-03-05/users.csv.gz")


def manifest(*keys: str, partition: str = "dt={partition}") -> Manifest:
    objects = tuple(RawObject(key, f"{number:032x}", 1, "1") for number, key in enumerate(keys))
    return Manifest("p", DAY, "s3://raw/p", objects, RunSettings(partition=partition))


def paths(*keys: str, partition: str = "dt={partition}", **entry: str) -> dict[str, str]:
    """The keys by the path that each is laid at."""
    found = placed(Input.model_validate({"path": "data/raw", **entry}), manifest(*keys, partition=partition))
    return {each.path: each.item.key for each in found}


def test_kept_names_are_the_keys_below_the_raw_url() -> None:
    assert list(paths(*WINDOW)) == [f"data/raw/{key}" for key in WINDOW]


def test_flat_names_are_those_of_the_objects_alone() -> None:
    assert list(paths(*WINDOW[1:], names="flat")) == ["data/raw/orders.csv", "data/raw/users.csv.gz"]


def test_an_input_of_the_partition_has_no_object_of_another_day() -> None:
    assert set(paths(*WINDOW, days="partition").values()) == set(WINDOW[1:])


def test_one_file_is_laid_at_the_path_itself() -> None:
    assert paths(*WINDOW, days="partition", names="file", objects="orders*", path="./data//raw.csv") == {
        "data/raw.csv": WINDOW[1]
    }


@pytest.mark.parametrize(
    ("names", "path"),
    [
        ("{partition}.csv", "2020-03-05.csv"),
        ("{year}/{month}/{day}-{name}", "2020/03/05-users.csv.gz"),
        ("{year}{month}{day}{suffix}", "20200305.gz"),
        ("{stem}_{partition}{suffix}", "users.csv_2020-03-05.gz"),
    ],
)
def test_a_pattern_has_the_parts_of_the_date_and_of_the_name(names: str, path: str) -> None:
    assert list(paths(*WINDOW, names=names, objects="users*", days="partition")) == [f"data/raw/{path}"]


def test_a_name_with_a_placeholder_in_it_is_not_filled_in_twice() -> None:
    assert list(paths("dt=2020-03-05/{day}.csv", names="{partition}-{name}")) == ["data/raw/2020-03-05-{day}.csv"]


def test_the_day_of_an_object_is_read_by_the_recorded_pattern() -> None:
    keys = ("trips_20200304.csv", "trips_20200305.csv")
    found = paths(*keys, partition="trips_{year}{month}{day}.csv", days="partition", names="{partition}{suffix}")
    assert found == {"data/raw/2020-03-05.csv": keys[1]}


def test_hidden_objects_and_objects_that_stand_for_folders_are_no_data() -> None:
    keys = ("dt=2020-03-05/_SUCCESS", "dt=2020-03-05/.crc", "dt=2020-03-05/sub/", "dt=2020-03-05/a.csv")
    assert list(paths(*keys).values()) == [keys[-1]]


def refusal(*keys: str, **entry: str) -> str:
    with pytest.raises(InputNamesError) as caught:
        paths(*keys, **entry)
    return str(caught.value)


def test_two_objects_with_one_name_are_both_named_with_a_pattern_that_keeps_them_apart() -> None:
    said = refusal(*WINDOW, names="flat")
    assert WINDOW[0] in said
    assert WINDOW[1] in said
    assert 'Write `names: "{partition}-{name}"`' in said
    assert paths(*WINDOW, names="{partition}-{name}")


def test_the_pattern_that_is_suggested_keeps_all_objects_apart() -> None:
    keys = ("dt=2020-03-05/east/a.csv", "dt=2020-03-05/west/a.csv")
    assert "Write `names: keep`" in refusal(*keys, names="flat")


def test_an_object_in_a_folder_that_another_object_is_the_file_of_is_refused() -> None:
    said = refusal("dt=2020-03-05/a", "dt=2020-03-05/a/b")
    assert "lay both dt=2020-03-05/a and dt=2020-03-05/a/b at data/raw/dt=2020-03-05/a" in said


def test_one_file_of_several_objects_is_refused_with_their_names() -> None:
    said = refusal(*WINDOW, names="file", days="partition")
    assert "has 2 objects for it: dt=2020-03-05/orders.csv, dt=2020-03-05/users.csv.gz. Name one with `objects`" in said


def test_an_input_without_an_object_is_refused_with_the_names_that_are_there() -> None:
    said = refusal(*WINDOW, objects="trips*.csv", days="partition")
    assert "none of the 2 objects of 2020-03-05 below s3://raw/p matches `objects: trips*.csv`" in said
    assert "it has dt=2020-03-05/orders.csv, dt=2020-03-05/users.csv.gz" in said


@pytest.mark.parametrize(
    "key",
    [
        "dt=2020-03-05//x",
        "dt=2020-03-05/dvc.yaml",
        "dt=2020-03-05/raw.csv.dvc",
        f"dt=2020-03-05/{'n' * 256}",
    ],
)
def test_a_key_that_cannot_be_a_path_of_the_checkout_is_refused(key: str) -> None:
    said = refusal(key, "dt=2020-03-05/a.csv")
    assert key in said
    assert "another name with a pattern" in said


def test_a_name_that_leaves_the_folder_is_hidden() -> None:
    with pytest.raises(InputNamesError, match=r"has no object: none of the 0 objects"):
        paths("../dt=2020-03-05/x", partition="*/dt={partition}")
    assert list(paths("dt=2020-03-05/../../../x", "dt=2020-03-05/a").values()) == ["dt=2020-03-05/a"]


def test_names_of_any_characters_are_kept() -> None:
    keys = ("dt=2020-03-05/a b#1?.csv", "dt=2020-03-05/größe\n.csv")
    assert list(paths(*keys, names="flat")) == ["data/raw/a b#1?.csv", "data/raw/größe\n.csv"]


def test_the_order_of_the_manifest_does_not_matter() -> None:
    assert paths(*WINDOW) == paths(*reversed(WINDOW))
    assert list(paths(*WINDOW)) == list(paths(*reversed(WINDOW)))
