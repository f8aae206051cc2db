import json

from retrain import alerts, drift
from retrain.day import Day, Feature
from retrain.deployment import Drift
from retrain.errors import Cause

FEATURES = (Feature("speed", "target", 0.41, 0.2), Feature("<!channel>", "input", 0.3, 0.25))
(VERDICT,) = drift.walk([Day("2020-03-17", 212, 1300, {}, FEATURES)], Drift(report="r"))


def test_a_drift_message_fits_a_lock_screen_and_shows_value_and_limit() -> None:
    message = alerts.drift_detected("trip_duration", VERDICT, "The model was trained.", [])
    assert message.text == "2 features drifted on 2020-03-17 - trip_duration"
    assert "PSI 0.41 (limit 0.20)" in json.dumps(message.blocks)


def test_a_column_named_like_a_ping_pings_nobody() -> None:
    text = json.dumps(alerts.drift_detected("p", VERDICT, "", []).blocks)
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text


def test_a_failure_says_whose_it_is_what_stands_and_what_to_do() -> None:
    message = alerts.task_failed(
        "trip_duration",
        "2020-03-05",
        "push",
        3,
        Cause.INFRA,
        "S3 answered 503",
        [alerts.Link("Task log", "http://x/y")],
    )
    text = json.dumps(message.blocks)
    for part in ("INFRA", "S3 answered 503", "What is live stays live", "clear push", "<http://x/y|Task log>"):
        assert part in text


def test_a_very_long_error_stays_within_slacks_limits() -> None:
    message = alerts.task_failed("p", "2020-03-05", "push", 1, Cause.UNKNOWN, "x" * 9000, [])
    assert max(len(block["text"]["text"]) for block in message.blocks if "text" in block) <= 3000
