from recorded import record

from retrain.archive.explain import changes, explain, packages
from retrain.deployment.run_settings import RunSettings
from retrain.run.manifest import Manifest, RawObject

UV_LOCK = (
    'version = 1\n[[package]]\nname = "numpy"\nversion = "{numpy}"\n[[package]]\nname = "six"\nversion = "1.17.0"\n'
)
FROZEN = "# by uv\nsix==1.17.0 \\\n    --hash=sha256:00\nhumanize==4.12.3 ; python_version > '3'\n"


def test_versions_are_read_from_a_uv_lock_and_from_frozen_requirements() -> None:
    assert packages(UV_LOCK.format(numpy="2.4.6")) == {"numpy": "2.4.6", "six": "1.17.0"}
    assert packages(FROZEN) == {"six": "1.17.0", "humanize": "4.12.3"}
    assert packages("# python 3.11\nsix==1.17.0\n") == {"python": "3.11", "six": "1.17.0"}


def test_another_commit_of_a_git_requirement_is_another_version() -> None:
    assert packages("six @ git+https://example.com/six@0123\n") == {"six": "git+https://example.com/six@0123"}


def test_versions_for_several_pythons_are_told_together() -> None:
    frozen = "numpy==2.4 ; python_version < '3.12'\nnumpy==2.5 ; python_version >= '3.12'\n"
    assert packages(frozen) == {"numpy": "2.4, 2.5"}


def test_what_is_only_on_one_side_is_a_change() -> None:
    assert [(c.name, c.before, c.after) for c in changes({"a": 1, "b": 2}, {"b": 2, "c": 3})] == [
        ("a", 1, None),
        ("c", None, 3),
    ]


def test_two_days_are_told_apart_by_data_parameters_and_packages_with_their_names() -> None:
    one, two = record(), record("2020-03-06", environment="f" * 64, metrics={"model.mae": 3.9})
    manifests = (
        Manifest("p", one.partition, "s3://raw", (RawObject("dt=2020-03-05/x", "e", 1, "1"),)),
        Manifest("p", two.partition, "s3://raw", (RawObject("dt=2020-03-06/x", "e", 1, "1"),)),
    )
    locks = (UV_LOCK.format(numpy="2.4.6"), UV_LOCK.format(numpy="2.5.5"))
    found = explain((one, two), manifests, ({"train.depth": 3}, {"train.depth": 4}), locks, (), ({}, {}))
    assert [c.name for c in found.environment] == ["numpy"]
    assert [c.name for c in found.params] == ["train.depth"]
    assert [c.name for c in found.data] == ["dt=2020-03-05/x", "dt=2020-03-06/x"]
    assert [c.name for c in found.metrics] == ["model.mae"]
    assert found.outputs == found.code == ()


def test_two_days_with_other_settings_are_told_apart_by_each_key() -> None:
    one = record()
    before = RunSettings.model_validate({
        "inputs": [{"path": "data/raw"}, {"path": "old"}], "params": {"p.yaml": {"a.b": 1}}
    })  # fmt: skip
    after = RunSettings.model_validate({
        "inputs": [{"path": "data/raw", "names": "flat"}], "params": {"p.yaml": {"a.b": "{year}"}}, "partition": "ds={partition}"
    })  # fmt: skip
    manifests = tuple(Manifest("p", one.partition, "s3://raw", (), settings) for settings in (before, after))
    found = explain((one, one), manifests, ({}, {}), ("", ""), (), ({}, {}))
    assert {change.name: (change.before, change.after) for change in found.settings} == {
        "inputs.data/raw.names": ("keep", "flat"),
        "inputs.old.days": ("window", None),
        "inputs.old.names": ("keep", None),
        "inputs.old.objects": ("*", None),
        "params.p.yaml.a.b": (1, "{year}"),
        "partition": ("dt={partition}", "ds={partition}"),
    }
    assert explain((one, one), (manifests[0],) * 2, ({}, {}), ("", ""), (), ({}, {})).settings == ()


def test_stages_are_told_apart_by_what_they_read_and_by_their_commands() -> None:
    one, same = record(), Manifest("p", "2020-03-05", "s3://raw", ())
    lock = "stages:\n  fit: {{cmd: fit {how}, deps: [{{path: data, md5: {md5}.dir}}], params: {{params.yaml: {{a: {how}}}}}}}\n"
    sides = tuple({"prep/dvc.lock": lock.format(how=n, md5=n).encode()} for n in (1, 2))
    found = explain((one, one), (same, same), ({}, {}), ("", ""), (), (sides[0], sides[1]))
    assert [(change.name, change.before, change.after) for change in found.stages] == [
        ("prep/dvc.yaml:fit cmd", "fit 1", "fit 2"),
        ("prep/dvc.yaml:fit deps data", "1.dir", "2.dir"),
    ]


def test_environments_are_compared_by_their_packages_whatever_they_were_called() -> None:
    one = record()
    same = Manifest("p", one.partition, "s3://raw", ())
    locks = tuple(UV_LOCK.format(numpy=version) for version in ("1", "2"))
    found = explain((one, one), (same, same), ({}, {}), locks, (), ({}, {}))
    assert [(change.name, change.before, change.after) for change in found.environment] == [("numpy", "1", "2")]
