"""Slack: what it should hold of the incidents, and the requests that bring it there."""
