"""The programs that the commands of stages start, as far as it is certain that the shell looks for them on its PATH.

A command is not understood here, only read from its beginning as long as there is no doubt: a program is left out rather than named
where the shell would not start it, or would find it after all. What is left out fails in its stage, as before.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from retrain.work.dvc.declared import Stage

_PROGRAM = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_][\w.+-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
# Words before a command of its own. Those of the shell itself are found by the shell.
_PREFIXES = frozenset(["env", "time", "nohup", "exec", "sudo", "nice"])
# Behind these nothing is certain: a condition, a loop, a function, another search path, a program that was just installed.
_ENDS = frozenset(
    [
        "if",
        "for",
        "while",
        "until",
        "case",
        "select",
        "function",
        "coproc",
        "then",
        "do",
        "else",
        "elif",
        "{",
        "}",
        "!",
        "[[",
        "[",
        "test",
        "command",
        "type",
        "which",
        "hash",
        "source",
        ".",
        "eval",
        "alias",
        "trap",
        "unalias",
        "enable",
        "builtin",
        "conda",
        "mamba",
        "micromamba",
        "module",
        "pip",
        "pip3",
        "npm",
        "npx",
        "yarn",
        "apt",
        "apt-get",
        "apk",
        "dnf",
        "yum",
        "brew",
        "cargo",
        "go",
        "gem",
        "make",
        "cmake",
        "ninja",
        "just",
        "bash",
        "sh",
        "zsh",
        "dash",
        "ksh",
        "poetry",
        "pipenv",
        "pixi",
        "pdm",
        "hatch",
        "uv",
        "uvx",
        "pyenv",
        "nvm",
        "asdf",
        "spack",
        "xargs",
        "find",
        "parallel",
        "ssh",
        "srun",
    ]
)
_OTHER_PATH = re.compile(r"(?<![A-Za-z0-9_])PATH\+?=")
_INSTALLS = re.compile(
    r"\b(?:pip3?|npm|yarn|apt|apt-get|apk|dnf|yum|brew|conda|mamba|micromamba|cargo|go|gem|uv|pipx|make|sdk|nvm|asdf|pixi|pyenv)\s+"
    r"(?:-\S+\s+)*(?:pip\s+|tool\s+|global\s+)?(?:install|add|i|ci|sync|get|create|update)\b"
)


def needed(stages: Iterable[Stage]) -> dict[str, tuple[str, ...]]:
    """The programs that the stages of a run start, each with the names of its stages.

    None, if a stage installs programs: another may need them.
    """
    running = [stage for stage in stages if stage.reached and not stage.frozen]
    if any(_INSTALLS.search(text) for stage in running for text in stage.cmd):
        return {}
    found: dict[str, dict[str, None]] = {}
    for stage in running:
        for text in stage.cmd:
            for program in certain(text):
                found.setdefault(program, {})[stage.name] = None
    return {program: tuple(names) for program, names in found.items()}


def listed(programs: Sequence[str], needed: Mapping[str, tuple[str, ...]]) -> str:
    """Programs with their stages, for a sentence; empty without programs."""
    named = [f"{each} (stage{'s' if len(needed[each]) > 1 else ''} {', '.join(needed[each])})" for each in programs]
    return " and ".join([", ".join(named[:-1]), *named[-1:]]).removeprefix(" and ")


def certain(text: str) -> list[str]:
    """The programs that a command line surely starts, without those that it names by a path."""
    if _OTHER_PATH.search(text) or "`" in text:
        return []
    found: list[str] = []
    for words, after in _simple_commands(text):
        if after == "||":  # its failure is expected
            break
        names, ends = _of_words(words)
        found.extend(names)
        if ends:
            break
    return list(dict.fromkeys(found))


def _simple_commands(text: str) -> Iterator[tuple[list[str], str]]:
    """Each simple command with the operator after it, until something else comes: a parenthesis, a here-document, an open quote."""
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=";&|<>()\n")
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    words: list[str] = []
    skip = False
    while True:
        try:
            token = lexer.get_token()
        except ValueError:  # a quote that is not closed
            return
        if token is None or (token and set(token) <= set(";&|\n")):
            if words:
                yield words, (token or "").strip("\n")
            words = []
            if token is None:
                return
        elif token and set(token) <= set(";&|<>()\n"):
            if set(token) & set("()") or "<<" in token:
                return
            if words and words[-1].isdigit():
                words.pop()
            skip = True
        elif skip:
            skip = False
        else:
            words.append(token)


def _of_words(words: Sequence[str]) -> tuple[list[str], bool]:
    """The programs of a simple command, at most one behind its prefixes; True if nothing after it is certain."""
    found: list[str] = []
    for word in words:
        if _ASSIGNMENT.match(word):
            continue
        if not _PROGRAM.fullmatch(word):
            return found, word in _ENDS
        found.append(word)
        if word not in _PREFIXES:
            return found, word in _ENDS
    return found, False
