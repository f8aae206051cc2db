"""Messages: their wording and their form in Slack and in plain text."""
