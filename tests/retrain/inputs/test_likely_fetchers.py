"""Which stages look as if they fetched their own data."""

from __future__ import annotations

import pytest
from described_stages import described, stage

from retrain.inputs.likely_fetchers import LikelyFetcher, likely_fetchers


@pytest.mark.parametrize(
    ("command", "evidence"),
    [
        ("wget -q https://example.org/x.csv -O raw.csv", "wget"),
        ("mkdir -p data && curl -sSL $URL > raw.csv", "curl"),
        ("aws  s3 cp s3://lake/x raw.csv", "aws s3"),
        ("python get.py --url s3://lake/x", "s3://lake/x"),
        ("kaggle datasets download -d a/b", "kaggle"),
        ("psql -c 'select 1' > raw.csv", "psql"),
    ],
)
def test_a_command_tells(command: str, evidence: str) -> None:
    found = likely_fetchers(described(stage("get", "", "raw.csv", cmd=(command,))), {})
    assert found == [LikelyFetcher("get", evidence, "its command")]


@pytest.mark.parametrize(
    ("code", "evidence"),
    [
        ("r = requests.get(url)", "requests.get"),
        ("from urllib.request import urlopen", "urllib.request"),
        ("import boto3", "import boto3"),
        ("import yfinance as yf", "import yfinance"),
        ("frame = pd.read_sql(query, engine)", "pd.read_sql".removeprefix("pd.")),
        ("from google.cloud import bigquery", "google.cloud import bigquery"),
        ("from sklearn import datasets\nd = datasets.fetch_california_housing()", "fetch_california_housing"),
        ("pd.read_csv('https://example.org/x.csv')", "read_csv('https://"),
        ("import psycopg2", "import psycopg2"),
        ("engine = sqlalchemy.create_engine(url)\nfrom sqlalchemy import text", "from sqlalchemy"),
    ],
)
def test_the_code_of_a_stage_tells(code: str, evidence: str) -> None:
    found = likely_fetchers(described(stage("get", "src/get.py", "raw.csv")), {"src/get.py": code})
    assert found == [LikelyFetcher("get", evidence, "src/get.py")]


@pytest.mark.parametrize("command", ["python src/get.py", "python -m src.get --days 3", "python -u ./src/get.py"])
def test_a_program_in_the_command_is_looked_at_although_dvc_does_not_know_it(command: str) -> None:
    get = stage("get", "", "raw.csv", cmd=(command,))
    assert likely_fetchers(described(get), {"src/get.py": "import boto3"})[0].place == "src/get.py"


def test_a_program_is_found_from_the_stage_s_own_folder() -> None:
    get = stage("get", "", "raw.csv", cmd=("python ../src/get.py",), wdir="sub")
    assert likely_fetchers(described(get), {"src/get.py": "import boto3"})[0].place == "src/get.py"


def test_a_stage_after_another_is_not_suspected_for_the_code_that_it_shares() -> None:
    shared = {"src/io.py": "import boto3", "fit.py": "import sklearn"}
    fit = stage("fit", "src raw.csv", "model", cmd=("python fit.py",))
    found = likely_fetchers(described(stage("get", "src", "raw.csv"), fit), shared)
    assert [each.stage for each in found] == ["get"]


@pytest.mark.parametrize(
    "quiet",
    [
        stage("fit", "fit.py", "model"),
        stage("fit", "fit.py", "model", cmd=("python fit.py --curly yes",)),
        stage("fit", "get.py", "model", frozen=True),
        stage("fit", "get.py", "model", reached=False),
    ],
)
def test_a_stage_that_only_computes_is_left_alone(quiet: object) -> None:
    texts = {"fit.py": "import pandas as pd\nrequests = 3\npd.read_csv('data/raw.csv')", "get.py": "import boto3"}
    assert likely_fetchers(described(quiet), texts) == []  # type: ignore[arg-type]
