"""The observer asks every question that there is."""

from __future__ import annotations

from pathlib import Path

from retrain.alerts.watch.observe import observer

FOLDER = Path(observer.__file__).parent
NO_QUESTIONS = {
    "__init__",
    "observer",
    "inquiry",
    "deadlines",
    "pins",
    "airflow_health",
    "asking",
    "known_days",
    "fleet_answers",
}


def test_every_module_of_a_question_is_asked() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")} - NO_QUESTIONS
    assert {question.__name__ for _, questions in observer.QUESTIONS for question in questions} == modules
