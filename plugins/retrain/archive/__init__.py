"""What can be done with recorded days: list, restore, verify, replay, explain and prune them."""
