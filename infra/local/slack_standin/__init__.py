"""A stand-in for Slack: the Web API for an unmodified slack-sdk client, and a page that shows the messages to readers."""
