"""Operations on recorded days: list, restore, verify, replay, explain and prune them."""
