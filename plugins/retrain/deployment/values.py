"""The types of single values in a pipeline's file. Each message says what is wrong with the value and how to write it."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from retrain.deployment import cron


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("must stay inside the checkout, without ..")
    return path


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # an unknown name, a path, a folder of zones
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin") from error
    return name


def _time_of_day(value: Any) -> Any:
    # YAML reads 10:00 without quotes as 600, which would be ten past midnight.
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"\d{2}:\d{2}", value)):
        return value
    raise ValueError(f'{value!r} is not a time of day. Write it in quotes, such as "10:00"')


S3Url = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*$")]
RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"), AfterValidator(_inside)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
DailyCron = Annotated[str, AfterValidator(cron.check)]
