import json

import pytest

from retrain.errors import RecordError, RecordVersionError, UnprovenPushError
from retrain.store.receipt import Details, Look, Proof, ProvenBy, Receipt, Seen, look
from retrain.work.dvc.outputs import CachedObject

FILE, FOLDER = CachedObject("a" * 32, "train", "model/MLmodel"), CachedObject("b" * 32 + ".dir", "train", "model")
PLAIN = Details(None, {})


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        pytest.param(Seen(7, "a" * 32), Look.PROVEN, id="stored under its own MD5"),
        pytest.param(None, Look.MISSING, id="not there"),
        pytest.param(Seen(0, "d41d8cd98f00b204e9800998ecf8427e", PLAIN), Look.WRONG, id="truncated"),
        pytest.param(Seen(7, "c" * 32, PLAIN), Look.WRONG, id="another content of the same size"),
        pytest.param(Seen(7, "c" * 32), Look.UNDECIDED, id="a listing does not say whether the ETag is an MD5"),
        pytest.param(Seen(7, "c" * 32 + "-2", PLAIN), Look.UNDECIDED, id="uploaded in parts"),
        pytest.param(Seen(7, "c" * 32, Details("aws:kms", {})), Look.UNDECIDED, id="encrypted with a key of KMS"),
        pytest.param(Seen(7, "a" * 32, Details("AES256", {})), Look.PROVEN, id="encrypted by S3 itself"),
    ],
)
def test_what_one_look_says_of_an_object(seen: Seen | None, says: Look) -> None:
    assert look(FILE, seen, None)[0] is says


def test_what_an_earlier_receipt_proved_and_still_looks_the_same_is_not_looked_into_again() -> None:
    earlier = Proof(FILE.key, 7, "c" * 32 + "-2", "read")
    assert look(FILE, Seen(7, "c" * 32 + "-2"), earlier) == (Look.PROVEN, ProvenBy.EARLIER)
    assert look(FILE, Seen(8, "c" * 32 + "-2"), earlier)[0] is Look.UNDECIDED


def test_an_object_that_changed_since_its_earlier_proof_is_wrong_and_not_proven() -> None:
    earlier = Proof(FILE.key, 7, "a" * 32, "etag")
    assert look(FILE, Seen(7, "c" * 32, PLAIN), earlier)[0] is Look.WRONG


def test_a_listing_of_a_folder_is_known_by_the_md5_before_its_ending() -> None:
    assert look(FOLDER, Seen(9, "b" * 32), None)[0] is Look.PROVEN


RECEIPT = Receipt("s3://store/dvc", (Proof(FILE.key, 7, "a" * 32, "etag"),))


def test_a_receipt_survives_the_ledger() -> None:
    assert Receipt.from_json(RECEIPT.to_json().encode(), "s3://ledger/receipt.json") == RECEIPT


def test_a_receipt_of_a_newer_schema_is_refused_by_its_address() -> None:
    newer = json.dumps({**json.loads(RECEIPT.to_json()), "schema_version": 2}).encode()
    with pytest.raises(RecordVersionError, match=r"s3://ledger/receipt\.json.*schema_version 2"):
        Receipt.from_json(newer, "s3://ledger/receipt.json")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"<html>busy</html>", id="no JSON"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no version"),
        pytest.param(b'{"schema_version": "1", "remote": "s3://x", "objects": []}', id="a version that is no number"),
        pytest.param(b'{"schema_version": 1, "objects": []}', id="no remote"),
        pytest.param(b'{"schema_version": 1, "remote": "s3://x", "objects": [{"key": "a"}]}', id="half a proof"),
    ],
)
def test_what_is_no_receipt_is_refused_by_its_address(text: bytes) -> None:
    with pytest.raises(RecordError, match=r"s3://ledger/receipt\.json is not a receipt"):
        Receipt.from_json(text, "s3://ledger/receipt.json")


def test_a_receipt_of_something_else_does_not_serve() -> None:
    RECEIPT.require([FILE])
    with pytest.raises(UnprovenPushError, match=f"model.*{FOLDER.key}"):
        RECEIPT.require([FILE, FOLDER])
