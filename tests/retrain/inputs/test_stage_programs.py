"""The programs that the commands of stages surely start."""

from __future__ import annotations

import pytest

from retrain.inputs import stage_programs
from retrain.work.dvc.declared import Stage


def stage(name: str, *commands: str, reached: bool = True, frozen: bool = False) -> Stage:
    return Stage(
        name, "dvc.yaml", commands, ".", frozen, always_changed=False, reached=reached, deps=(), params={}, outs=()
    )


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        pytest.param("docker run --rm image", ["docker"], id="one program"),
        pytest.param(
            "mkdir -p out && Rscript b.R | tee log; jq . x", ["mkdir", "Rscript", "tee", "jq"], id="operators"
        ),
        pytest.param("wget x\naws s3 cp a b\n", ["wget", "aws"], id="lines"),
        pytest.param("X=1 env Y=2 nohup gzip -9 f 2>&1 >out", ["env", "nohup", "gzip"], id="variables and prefixes"),
        pytest.param("R \\\n  -e 'x; y'", ["R"], id="a continued line, quotes"),
        pytest.param("poetry run python a.py", ["poetry"], id="a program that starts others"),
        pytest.param("python -c '\nimport x\nprint(x)\n' && jq .", ["python", "jq"], id="a text of several lines"),
        pytest.param("wget x # jq it\ncurl y", ["wget"], id="a comment hides its line's end"),
    ],
)
def test_the_programs_that_the_shell_looks_for_are_named(text: str, programs: list[str]) -> None:
    assert stage_programs.certain(text) == programs


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("say() { echo x; }; say", id="a function"),
        pytest.param("function say { echo x; }; say", id="a function by its keyword"),
        pytest.param("./run.sh", id="a script by its path"),
        pytest.param("cd x && ./run.sh", id="a script in another folder"),
        pytest.param("$TOOL train", id="a variable"),
        pytest.param('"${TOOL}" train', id="a quoted variable"),
        pytest.param("jq . x || python a.py", id="a failure that is expected"),
        pytest.param("if true; then jq .; fi", id="a condition"),
        pytest.param("command -v jq && jq .", id="a question before"),
        pytest.param("[ -x /opt/jq ] && jq .", id="a test before"),
        pytest.param("[[ $a =~ (jq|x) ]] && jq .", id="a pattern"),
        pytest.param("for f in jq x; do jq $f; done", id="a loop"),
        pytest.param("source env.sh && jq .", id="another shell's state"),
        pytest.param(". ./env.sh; jq .", id="another shell's state by a dot"),
        pytest.param("export PATH=$PWD/bin:$PATH && jq .", id="another search path"),
        pytest.param("PATH+=:bin jq .", id="a longer search path"),
        pytest.param("alias jq=cat; jq .", id="an alias"),
        pytest.param("eval jq .", id="a text as a command"),
        pytest.param("pip install jq && jq .", id="an installation"),
        pytest.param("bash install.sh && jq .", id="a script that may install it"),
        pytest.param("x=$(jq .)", id="a substitution"),
        pytest.param("x=`jq .`; jq .", id="a substitution in backticks"),
        pytest.param("(cd x && jq .)", id="a shell of its own"),
        pytest.param("a=(jq b)", id="an array"),
        pytest.param("echo $((jq+1))", id="arithmetic"),
        pytest.param("cat <<EOF\njq .\nEOF\njq .", id="a here-document"),
        pytest.param("diff <(jq .) x", id="the output of a process as a file"),
        pytest.param("case $x in a) jq .;; esac", id="a case"),
        pytest.param("! jq .", id="a negation"),
        pytest.param("echo 'jq", id="a quote that is not closed"),
    ],
)
def test_no_program_is_named_that_the_shell_may_find_or_never_start(text: str) -> None:
    assert "jq" not in stage_programs.certain(text)
    assert "say" not in stage_programs.certain(text)


def test_each_program_has_the_stages_that_start_it_of_those_that_a_run_starts() -> None:
    stages = [
        stage("build", "docker build ."),
        stage("fit", "docker run x", "jq ."),
        stage("deploy", "aws s3 sync", reached=False),
        stage("import", "wget x", frozen=True),
    ]
    needed = stage_programs.needed(stages)
    assert needed == {"docker": ("build", "fit"), "jq": ("fit",)}
    assert stage_programs.listed(["docker", "jq"], needed) == "docker (stages build, fit) and jq (stage fit)"


def test_nothing_is_certain_if_another_stage_installs_programs() -> None:
    assert stage_programs.needed([stage("setup", "npm install -g tool"), stage("fit", "tool run")]) == {}
