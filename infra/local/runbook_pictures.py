"""Take the runbooks' pictures: each example of an alert, posted to a Slack stand-in and shown as on a phone.

The stand-in's clock is set to the times of the example, so the same messages give the same pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path

from browser import ScreenshotError, open_browser
from message_picture import picture_message
from slack_sdk import WebClient
from slack_standin.running import Standin, StandinError

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "infra" / "runbooks" / "pictures"
_CHANNEL = "#retrain-alerts"

# The messages are rendered by the code of the deployment.
sys.path.insert(0, str(ROOT / "plugins"))

from alert_examples import examples, silences  # noqa: E402
from example_signals import notes  # noqa: E402
from signal_templates import ADDRESSES  # noqa: E402

from retrain.alerts.incident import Incident  # noqa: E402
from retrain.alerts.kinds import Kind  # noqa: E402
from retrain.alerts.message import messages  # noqa: E402
from retrain.alerts.message.digest import digest  # noqa: E402


def main() -> int:
    """Save the pictures in `infra/runbooks/pictures`. Returns 0, or 1 after one sentence on stderr."""
    try:
        with Standin() as slack, open_browser(390, 800) as browser:
            for name, post in _posts().items():
                slack.control("reset", {})
                ts = post(slack, WebClient(slack.token, base_url=f"{slack.url}/api/"))
                picture_message(browser, slack.url, ts, PICTURES / f"{name}.png")
                print(f"infra/runbooks/pictures/{name}.png")
    except (ScreenshotError, StandinError) as error:
        print(f"No picture: {error}", file=sys.stderr)
        return 1
    return 0


def _posts() -> Mapping[str, Callable[[Standin, WebClient], str]]:
    """Functions that post a message and return its `ts`, by the name of the picture."""

    def posting(incident: Incident) -> Callable[[Standin, WebClient], str]:
        return lambda slack, client: _post(slack, client, incident)

    made = examples()
    posts = {name: posting(example.open) for name, example in made.items()}
    posts["resolved"] = posting(made[Kind.TASK_FAILED].resolved)
    posts["backfill_finished"] = posting(made[Kind.BACKFILL].resolved)
    posts["digest"] = _post_digest
    return posts


def _post(slack: Standin, client: WebClient, incident: Incident) -> str:
    top = messages.top(incident, ADDRESSES)
    _at(slack, incident.opened_at)
    posted = client.chat_postMessage(channel=_CHANNEL, text=top.text, blocks=top.blocks)
    for entry in incident.entries:
        reply = messages.reply(incident, entry, ADDRESSES)
        _at(slack, entry.at)
        client.chat_postMessage(channel=_CHANNEL, text=reply.text, blocks=reply.blocks, thread_ts=posted["ts"])
    return str(posted["ts"])


def _post_digest(slack: Standin, client: WebClient) -> str:
    made = examples()
    message = digest(
        date(2020, 3, 17),
        notes(),
        [made[Kind.DRIFT_DETECTED].open],
        [made[Kind.RELEASE_REFUSED].resolved, made[Kind.BACKFILL].resolved],
        silences(),
        ADDRESSES,
    )
    if message is None:
        raise ScreenshotError("The example of a digest is empty: see `notes` in example_signals.py.")
    _at(slack, "2020-03-18T07:00:00+00:00")
    return str(client.chat_postMessage(channel=_CHANNEL, text=message.text, blocks=message.blocks)["ts"])


def _at(slack: Standin, moment: str) -> None:
    slack.control("clock", {"at": datetime.fromisoformat(moment).timestamp()})


if __name__ == "__main__":
    sys.exit(main())
