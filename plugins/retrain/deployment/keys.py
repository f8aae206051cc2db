"""The keys of a pipeline's file, read from its models: name, default, and the docstring below each field.

Pydantic would read these docstrings each time a DAG file is imported. Only the reference of the keys needs them, so they are read here.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from retrain.deployment.pipeline_file import Deployment

_MANY: dict[Any, str] = {tuple: "[]", dict: ".NAME"}


@dataclass(frozen=True)
class FileKey:
    """A key that a file may have.

    `name` has its sections, those of a list with `[]`, those of a mapping with `.NAME`: `schedule.cron`, `inputs[].path`, `remotes.NAME.connection`. `default` is the value without the key.
    `meaning` is the field's docstring; empty if it has none.
    """

    name: str
    required: bool
    default: Any
    meaning: str


def keys(model: type[BaseModel] = Deployment, above: str = "") -> Iterator[FileKey]:
    """Every key of a model, those of its sections included, in the order of the classes."""
    meanings = _docstrings(model)
    for name, field in model.model_fields.items():
        if model is Deployment and name in ("pipeline", "pipelines"):  # the file's name and folder, not keys
            continue
        section, many = _section(field)
        if section is not None:
            yield from keys(section, f"{above}{name}{many}.")
        else:
            default = field.get_default(call_default_factory=True)
            yield FileKey(f"{above}{name}", field.is_required(), default, meanings.get(name, ""))


def _section(field: FieldInfo) -> tuple[type[BaseModel] | None, str]:
    """The model of a field that is a section, or a list or mapping of sections, and the mark of the latter two in a name."""
    for annotation in (field.annotation, *get_args(field.annotation)):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation, _MANY.get(getattr(field.annotation, "__origin__", None), "")
    return None, ""


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of a class and of the classes that it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        definition = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        body = definition.body if isinstance(definition, ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
    return found
