from retrain import errors
from retrain.alerts import errors as of_alerts

EVERY = [
    value
    for value in {**vars(errors), **vars(of_alerts)}.values()
    if isinstance(value, type) and issubclass(value, errors.RetrainError) and value is not errors.RetrainError
]


def test_what_is_wrong_with_data_or_release_is_not_retried() -> None:
    for kind in EVERY:
        if kind.cause in (errors.Cause.DATA, errors.Cause.RELEASE):
            assert issubclass(kind, errors.FinalError), kind


def test_what_infrastructure_did_is_retried() -> None:
    for kind in EVERY:
        if kind.cause is errors.Cause.INFRA:
            assert not issubclass(kind, errors.FinalError), kind


def test_every_failure_says_in_a_sentence_what_it_is() -> None:
    assert all(kind.__doc__ and kind.__doc__.endswith(".") for kind in EVERY)
