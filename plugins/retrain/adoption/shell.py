"""The programs that a shell command starts, and its parts, as far as they can be read without running it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_WORD = re.compile(r"[A-Za-z0-9_./~-][\w./+~-]*")
_OPERATORS = ("&&", "||", ";", "|", "&", "|&", ";;")
_REDIRECTIONS = (">", ">>", "<", "<<", "<<<", ">&", "&>", "<&", ">|", "&>>")
# Words before a command of its own.
_PREFIXES = (
    "env",
    "time",
    "nohup",
    "exec",
    "nice",
    "command",
    "sudo",
    "then",
    "do",
    "else",
    "!",
    "{",
    "(",
    "if",
    "while",
    "xargs",
)
BUILTINS = frozenset(
    [
        "cd",
        "echo",
        "export",
        "set",
        "unset",
        "source",
        ".",
        "test",
        "[",
        "[[",
        "true",
        "false",
        "exit",
        "return",
        "shift",
        "read",
        "printf",
        "trap",
        "local",
        "declare",
        "eval",
        "wait",
        "pwd",
        "pushd",
        "popd",
        "ulimit",
        "umask",
        "alias",
        "type",
        "hash",
        "let",
        "fi",
        "done",
        "esac",
        "for",
        "case",
        "in",
        "function",
        "break",
        "continue",
        "mapfile",
        ":",
        "}",
        ")",
        "select",
        "until",
        "getopts",
        "shopt",
        "readonly",
        "typeset",
        "then",
        "do",
        "else",
        "elif",
        "if",
        "while",
        "!",
        "{",
    ]
)
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_VARIABLE = re.compile(r"(?<!\\)\$(?:\{([A-Za-z_]\w*)(?P<default>:?[-=+?])?[^}]*\}|([A-Za-z_]\w*))")
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?\n.*?^\s*\1\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class SimpleCommand:
    """One program with its arguments. `variables` are the assignments before it; `after` is the operator before it, or empty."""

    words: tuple[str, ...]
    variables: tuple[str, ...]
    after: str

    @property
    def program(self) -> str:
        """The program's name or path."""
        return self.words[0]

    @property
    def is_python(self) -> bool:
        return bool(_PYTHON.fullmatch(self.program.rpartition("/")[2]))


def commands(text: str) -> list[SimpleCommand]:
    """The simple commands of a command line or a script. What cannot be read as one is left out."""
    found: list[SimpleCommand] = []
    script = _HEREDOC.sub("", text.replace("\\\n", " "))
    for line in script.splitlines():
        found.extend(_of_line(line))
    return found


def _of_line(line: str) -> Iterator[SimpleCommand]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that the next line closes
        return
    words: list[str] = []
    after, skip = "", False
    for token in [*tokens, ";"]:
        if skip:
            skip = False
        elif token in _REDIRECTIONS:
            skip = True
            if words and words[-1].isdigit():
                words.pop()
        elif token in _OPERATORS or (token and set(token) <= set(";&|()")):
            yield from _simple(words, after)
            words, after = [], token
        else:
            words.append(token)


def _simple(words: list[str], after: str) -> Iterator[SimpleCommand]:
    variables: list[str] = []
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _PREFIXES or (variables and rest[0] == "-")):
        word = rest.pop(0)
        if _ASSIGNMENT.match(word):
            variables.append(word)
    if rest and _WORD.fullmatch(rest[0]):
        yield SimpleCommand(tuple(rest), tuple(variables), after)


def programs(text: str) -> list[str]:
    """The programs that a command or a script starts, without those of the shell itself and its own functions."""
    functions = set(re.findall(r"^\s*(?:function\s+)?(\w+)\s*\(\)", text, re.MULTILINE))
    found = [each.program for each in commands(text) if each.program not in BUILTINS and each.program not in functions]
    return list(dict.fromkeys(found))


def variables(text: str) -> dict[str, bool]:
    """The variables that a command or a script reads and does not set; True if it has no default value for one."""
    own = set(
        re.findall(r"(?:^|[\s;&(])(?:export\s+|local\s+|read\s+(?:-\w+\s+)*)?([A-Za-z_]\w*)=", text, re.MULTILINE)
    )
    own |= set(re.findall(r"\bfor\s+([A-Za-z_]\w*)\b", text))
    found: dict[str, bool] = {}
    for match in _VARIABLE.finditer(re.sub(r"'[^']*'", "", text)):
        name = match[1] or match[3]
        if name not in own:
            found[name] = found.get(name, False) or not match["default"]
    return found
