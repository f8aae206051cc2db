import pytest

from retrain.adoption import shell


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        pytest.param("python a.py && Rscript b.R | tee log", ["python", "Rscript", "tee"], id="operators"),
        pytest.param("cd src && echo done > out", [], id="the shell's own commands"),
        pytest.param("X=1 env Y=2 gzip -9 f 2>&1", ["gzip"], id="variables and prefixes"),
        pytest.param("for f in a b; do jq . $f; done", ["jq"], id="a loop"),
        pytest.param("cat <<EOF\nwget x\nEOF\ngrep y z", ["cat", "grep"], id="a here-document"),
        pytest.param("say() { echo x; }\nsay\ncurl y", ["curl"], id="a function of the script"),
        pytest.param("python \\\n  train.py", ["python"], id="continued lines"),
    ],
)
def test_the_programs_of_a_command_are_found(text: str, programs: list[str]) -> None:
    assert shell.programs(text) == programs


def test_variables_are_found_but_for_those_that_the_text_sets_or_quotes() -> None:
    text = "export A=1\necho $A ${B} ${C:-x} '$D'\nfor E in 1; do echo $E; done"
    assert shell.variables(text) == {"B": True, "C": False}
