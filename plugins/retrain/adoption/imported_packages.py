"""Whether the environment of the repository has the packages that its stages import."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement

from retrain.adoption.observation import Observation, stops, surprises
from retrain.adoption.packages import TOPIC
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.python_code import read
from retrain.work.environments import frozen

# Import names that differ from the package's.
_PACKAGES = {
    "sklearn": "scikit-learn", "yaml": "pyyaml", "cv2": "opencv-python", "PIL": "pillow", "bs4": "beautifulsoup4", "dotenv": "python-dotenv",
    "dateutil": "python-dateutil", "skimage": "scikit-image", "git": "gitpython", "attr": "attrs", "psycopg2": "psycopg2-binary",
    "umap": "umap-learn", "hydra": "hydra-core", "ruamel": "ruamel-yaml", "box": "python-box", "MySQLdb": "mysqlclient",
    "pkg_resources": "setuptools", "google": "google", "serial": "pyserial", "Crypto": "pycryptodome", "lightning": "lightning",
}  # fmt: skip


# Import names that are surely the package's own.
_SAME_NAME = frozenset(
    [
        "pandas",
        "numpy",
        "scipy",
        "joblib",
        "matplotlib",
        "seaborn",
        "mlflow",
        "dvclive",
        "dvc",
        "xgboost",
        "lightgbm",
        "catboost",
        "torch",
        "torchvision",
        "tensorflow",
        "keras",
        "requests",
        "boto3",
        "pyarrow",
        "polars",
        "statsmodels",
        "transformers",
        "optuna",
        "nltk",
        "spacy",
        "loguru",
        "typer",
        "click",
        "tqdm",
        "pydantic",
        "fastapi",
        "evidently",
        "hydra",
        "omegaconf",
        "plotly",
        "shap",
        "imblearn",
        "wandb",
        "dagshub",
        "sqlalchemy",
        "pytest",
    ]
)


def imported(code: PipelineCode, resolved: frozenset[str]) -> Iterator[Observation]:
    """Which imports of the stages does none of the resolved packages seem to bring? `resolved` are names in lower case with dashes."""
    for module, file in sorted(_foreign(code).items()):
        names = {_normal(module), _normal(_PACKAGES.get(module, module))}
        if not any(
            name == package or package.startswith(f"{name}-") or package.endswith(f"-{name}")
            for name in names
            for package in resolved
        ):
            package = _PACKAGES.get(module, module)
            effect = stops if module in _PACKAGES or module in _SAME_NAME else surprises
            yield effect(
                TOPIC,
                file,
                f"imports {module}, which no package of the environment brings.",
                f"add {package} to the environment's file, or to a requirements file beside the pipeline's file: packages: {{lock: <name>.txt}}.",
            )


def _foreign(code: PipelineCode) -> dict[str, str]:
    """The top modules that stages import and that are neither Python's nor the repository's own, with a file that does."""
    own = {
        part
        for path in code.snapshot.paths
        if path.endswith(".py")
        for part in (*path.split("/")[:-1], path.rpartition("/")[2][:-3])
    }
    found: dict[str, str] = {}
    for each in code.stages:
        for file in each.files:
            for item in read(code.snapshot.texts[file]).imports:
                top = item.module.partition(".")[0]
                if (
                    top
                    and not item.level
                    and not item.optional
                    and top not in sys.stdlib_module_names
                    and top not in own
                ):
                    found.setdefault(top, file)
    return found


def names_of(text: str) -> frozenset[str]:
    """The names of the packages of a frozen text, in lower case with dashes."""
    found = set()
    for line in frozen.requirements(text):
        try:
            found.add(_normal(Requirement(line).name))
        except InvalidRequirement:
            continue  # a URL alone names no package
    return frozenset(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
