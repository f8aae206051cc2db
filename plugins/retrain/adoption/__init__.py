"""Whether and how another team's repository runs here: the check before its first release."""
