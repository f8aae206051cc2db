from retrain.adoption import python_code


def test_variables_without_a_default_are_told_from_those_with_one() -> None:
    code = python_code.read(
        "import os\nfrom os import getenv\nos.environ['A']\nos.getenv('B')\ngetenv('C')\nos.environ.get('D', 1)\nos.environ['E'] = '1'\nos.environ['E']\n"
    )
    assert code.variables == {"A": True, "B": False, "C": False, "D": False}


def test_a_call_has_its_whole_name_whatever_the_import_is_called() -> None:
    code = python_code.read(
        "import pandas as pd\nfrom mlflow import set_tracking_uri as to\nto('http://x')\npd.read_csv('y')\n"
    )
    assert [(call.name, call.texts) for call in code.calls] == [
        ("mlflow.set_tracking_uri", ("http://x",)),
        ("pandas.read_csv", ("y",)),
    ]


def test_imports_within_try_functions_and_type_checking_are_optional() -> None:
    text = (
        "import a\ntry:\n    import b\nexcept ImportError:\n    b = None\ndef f():\n    import c\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import d\n"
    )
    assert {each.module for each in python_code.read(text).imports if not each.optional} == {"a", "typing"}


def test_a_file_that_is_no_python_3_says_where() -> None:
    assert python_code.read("print 'x'\n").broken == "line 1: SyntaxError"
