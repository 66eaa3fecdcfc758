r"""The README and the manual's pages as blocks, and how a block is run.

The word behind three backticks is the language, what follows it a mark:

- ``bash``: run by bash; ``python``: executed, all blocks of a page after one another.
- ``console``: command lines behind ``$``, each over all that it prints, digits aside, wherever it
  is run.
- ``console demo``, ``console real model``: what is shown is the first lines, of the stores that
  ``compread demo`` makes, or of its model. The commands run on small stand-ins; where
  ``COMPREAD_TEST_DEMO`` names a folder that has ``compread-demo``, the model and ``data`` the
  output is compared as well.
- any language with ``not run: REASON``: the commands' names and options are checked, no more.

``python tests/documents.py`` writes the console blocks without a mark anew, where more than digits
differs; ``python tests/documents.py FOLDER`` writes all of them, from what the commands print in
such a folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import compread
from compread.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((Path(compread.__file__).parent / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = "not run: "
STAND_INS = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": "SmolLM2-135M-Instruct",
    "--seeds 0-4": "--seeds 0,1",
    "tasks=sst2,boolq,qqp,wic,rte,mnli,ag_news,arc_easy": "tasks=sst2",
}
"""What is written otherwise where stand-ins run: a folder for the .gguf file, and less to do."""

# What answers to ``compread`` in a block: it asks this process, which has the libraries loaded.
SHIM = """\
#!{python} -SE
import json, os, socket, sys
words = sys.argv[1:]
if os.path.basename(sys.argv[0]) != "compread":  # torchrun ... -m compread, python -m compread
    words = words[words.index("compread") + 1:]
given = sys.stdin.read() if "-" in words else ""
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    link.sendall(json.dumps([words, os.getcwd(), given]).encode())
    link.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: link.recv(1 << 16), b""))
status, out, err = json.loads(answer)
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status)
"""

Call = tuple[list[str], int]
"""The words behind ``compread``, and the exit status."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    mark: str
    text: str

    @property
    def listings(self) -> list[tuple[str, list[str]]]:
        """The command lines of a console block with the lines shown below each."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
        return found

    @property
    def commands(self) -> list[str]:
        """Each ``compread ...`` of the block, whatever stands around it in the shell."""
        return [
            part.strip().removeprefix("xargs ")
            for line in self.text.replace("\\\n", " ").splitlines()
            for part in re.split(r"&&|\||;|<|>|\s#", re.sub(r"^\$ |^ *do ", "", line))
            if re.match(r"\s*(xargs )?compread\s", part)
        ]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2] or "", m[3]) for m in FENCE.finditer(text)]


def smaller(text: str) -> str:
    """The text with the stand-ins' names and sizes."""
    for written, run in STAND_INS.items():
        text = text.replace(written, run)
    return text


def printed(line: str, folder: Path) -> tuple[int, list[str]]:
    """The status of one command line and the lines that it prints on either stream."""
    both = io.TextIOWrapper(io.BytesIO(), "utf-8")  # tables have lines only where it has them
    with _in(folder), contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
        status = main(shlex.split(line)[1:])
    return status, _text(both).splitlines()


def run_bash(text: str, folder: Path) -> tuple[int, list[Call], str]:
    """Run a script, which ends with the first line that fails.

    Returns:
        Its status, each command line of compread with its status, and what all of it printed.
    """
    calls: list[Call] = []
    with tempfile.TemporaryDirectory() as at, socket.socket(socket.AF_UNIX) as server:
        address = str(Path(at, "s"))
        server.bind(address)
        server.listen()
        server.settimeout(0.02)
        for name in ("compread", "torchrun"):
            shim = Path(at, name)
            shim.write_text(SHIM.format(python=sys.executable, address=address))
            shim.chmod(0o755)
        path = f"{at}{os.pathsep}{os.environ['PATH']}"
        with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
            if shutil.which("jq") is None:
                Path(at, "jq").symlink_to(shutil.which("cat") or "")
            shell = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", text], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path},
            )  # fmt: skip
            try:
                while shell.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        calls.append(_answer(server.accept()[0]))
            finally:  # what a command raises ends the script as well
                shell.kill()
                shell.wait()
            out.seek(0)
            return shell.returncode, calls, out.read()


def _answer(link: socket.socket) -> Call:
    """Run the command line that a shim sends, and send back its status and output."""
    with link:
        link.setblocking(True)
        words, folder, given = json.loads(b"".join(iter(lambda: link.recv(1 << 16), b"")))
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        before = sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")
        try:
            with (
                _in(Path(folder)),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                status = main(words)
        finally:
            sys.stdin = before
        link.sendall(json.dumps([status, _text(out), err.getvalue()]).encode())
    return words, status


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return cast("io.BytesIO", stream.buffer).getvalue().decode(errors="replace")


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    """Work in a folder, 80 columns wide."""
    before, columns = Path.cwd(), os.environ.get("COLUMNS")
    os.chdir(folder)
    os.environ["COLUMNS"] = "80"
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns


def masked(lines: list[str]) -> list[str]:
    """The lines without what depends on the processor: digits, and the sign of an exponent."""
    return [re.sub(r"[0-9.]+", "0", re.sub(r"e[-+]", "e-", line)) for line in lines]


def rewritten(page: str, folder: Path, marked: bool) -> str:
    """A page whose console blocks have what their commands print in ``folder``.

    A block without a mark has all of it, and stays where only digits differ. Of a command in a
    marked block as many lines are shown as before, of one without lines all.

    Args:
        page: its text.
        folder: where the commands are run.
        marked: whether blocks with a mark are written too, which takes what they are of.
    """

    def anew(match: re.Match[str]) -> str:
        block = Block(match[1], match[2] or "", match[3])
        if block.language != "console" or (block.mark and not marked):
            return match[0]
        listings = []
        for command, shown in block.listings:
            status, out = printed(command, folder)
            if status:
                sys.exit(f"{command}: status {status}: {out[-1:]}")
            before = "\n".join(shown).rstrip().splitlines()
            if not block.mark and masked(out) == masked(before):
                out = before
            wanted = len(before) if block.mark and before else len(out)
            listings.append("\n".join([f"$ {command}", *out[:wanted]]))
        head, _, _ = match[0].partition("\n")
        return "\n".join([head, "\n\n".join(listings), "```"])

    return FENCE.sub(anew, page)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        at = Path(*sys.argv[1:2] or [empty]).resolve()
        for file in PAGES:
            text = rewritten(file.read_text("utf-8"), at, marked=len(sys.argv) > 1)
            file.write_text(text, "utf-8")
