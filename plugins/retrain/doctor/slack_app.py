"""The Slack app: its token, its scopes, and its place in each channel. Nothing is posted."""

from __future__ import annotations

from collections.abc import Iterator

from retrain.alerts.errors import SlackChannelError, SlackError, SlackTokenError
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack import scopes
from retrain.alerts.watch.slack.client import SlackApp, SlackClient
from retrain.doctor.finding import Finding, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings

_APP = "https://api.slack.com/apps, OAuth & Permissions"
_TOKEN = f"Copy the bot's token ({_APP}) into the secret slack_token: infra/docs/secrets.md."


def check(here: Surroundings) -> Iterator[Finding]:
    """The token of the watch, and the channels that the pipelines' files name."""
    if not (here.environment.get("RETRAIN_SLACK_TOKEN") or here.environment.get("RETRAIN_SLACK_TOKEN_FILE")):
        yield unknown("Slack", "this container has no token", "Run it in alerts, the watch's container.")
        return
    settings = WatchSettings.of(here.environment)
    channels = {each.slack.channel for each in here.deployments} | ({settings.channel} - {None})
    yield from check_app(settings.slack, sorted(str(each) for each in channels))


def check_app(client: SlackClient, channels: list[str]) -> Iterator[Finding]:
    """Ask Slack about the app, then about each channel."""
    try:
        app = client.app()
    except SlackTokenError as error:
        yield wrong("Slack's token", str(error), _TOKEN)
        return
    except SlackError as error:
        yield wrong("Slack", str(error), "Let the host reach slack.com on port 443, or correct RETRAIN_SLACK_API_URL.")
        return
    yield ok("Slack's token", f"is that of {app.user} in {app.team}")
    private: set[bool] = set()
    for channel in channels:
        yield _channel(client, app, channel, private)
    yield scopes_of(app, frozenset(private or {False}))


def _channel(client: SlackClient, app: SlackApp, channel: str, private: set[bool]) -> Finding:
    thing = f"Slack's channel {channel}"
    try:
        client.check_channel(channel, app)
        private.add(client.is_private(channel))
    except SlackTokenError as error:
        return wrong(thing, str(error), "Add the scopes named below, and install the app again.")
    except SlackChannelError as error:
        return wrong(
            thing, str(error), f"In the channel: /invite @{app.user}; or correct slack.channel in the pipeline's file."
        )
    except SlackError as error:
        return wrong(thing, str(error), "Run it again.")
    return ok(thing, f"{app.user} is in it")


def scopes_of(app: SlackApp, private: frozenset[bool]) -> Finding:
    """Compare the token's scopes with those of the methods that the watch calls."""
    if app.scopes is None:
        return unknown("Slack's scopes", "Slack did not name them")
    found = scopes.difference(app.scopes, private)
    spare = f"nothing uses {', '.join(found.unused)}"
    if found.missing:
        lacks = f"the token lacks {', '.join(found.missing)}"
        return wrong(
            "Slack's scopes",
            f"{lacks}; {spare}" if found.unused else lacks,
            f"Add them at {_APP}, Bot Token Scopes, then *Reinstall to Workspace*. The token stays the same.",
        )
    if found.unused:
        return warning("Slack's scopes", spare, f"Remove them at {_APP}.")
    return ok("Slack's scopes", f"exactly those that are used: {', '.join(sorted(app.scopes))}")
