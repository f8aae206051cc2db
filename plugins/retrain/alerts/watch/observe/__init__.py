"""The observer: each module asks one question that no task answers."""
