"""``compread report``: one page, whole, and safe."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from compread.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Headings, tables, links and images of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.sources, self.tables = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep what is opened, and its source."""
        attrs = dict(attrs)
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        self.tables += tag == "table"
        self.sources += [attrs[key] for key in ("src", "href") if key in attrs]

    def handle_endtag(self, tag):
        """Only the innermost may be closed."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep the text of cells and headings."""
        if self.open and self.open[-1] in ("td", "button"):
            self.cells.append(data.strip())


@pytest.fixture(scope="module")
def page(tmp_path_factory, stores, write_store):
    """The text of a page of three runs of one task and one of another, and its path."""
    folder = tmp_path_factory.mktemp("report")
    words = (" <b>no</b>", " yes")
    other = write_store(folder / "rte.h5", task="rte<script>", words=words)
    out = folder / "report.html"
    assert main(["report", str(stores), str(other), "-o", str(out)]) == 0
    return out.read_text("utf-8"), out


def test_the_page_is_whole_and_needs_no_network(page):
    """Every tag is closed, and every source is in the page itself."""
    parsed = Page(page[0])
    assert parsed.open == []
    assert all(s.startswith(("data:image/svg+xml;base64,", "#")) for s in parsed.sources)
    assert sum(s.startswith("data:") for s in parsed.sources) == 5
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?https?:", page[0])


def test_names_cannot_be_markup(page):
    """A task or label that looks like HTML is text."""
    assert "rte<script>" not in page[0] and "rte&lt;script&gt;" in page[0]
    assert "<b>no" not in page[0]


def test_tables_have_the_numbers_of_the_commands(page, stores, capsys):
    """A ranked component and a run's accuracies are those of rank and analyze."""
    cells = Page(page[0]).cells
    assert main(["rank", str(stores), "--format", "json"]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    at = cells.index(best["component"])
    assert f"{best['accuracy']:.3f}" in " ".join(cells[at : at + 6])
    assert Page(page[0]).tables == 5


def test_the_commands_are_on_it(page):
    """The page tells how it and its stores were made."""
    assert "compread report" in page[0] and "compread extract -o s.h5" in page[0]


def test_it_is_replaced_by_force_only(page, stores, capsys):
    """A page that exists stays unless --force is given."""
    assert main(["report", str(stores), "-o", str(page[1])]) == 1
    assert "--force" in capsys.readouterr().err


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_sorts_it_without_complaint(page, tmp_path):
    """In headless Chromium a click sorts a column both ways, and nothing is logged."""
    check = """<script>
    const table = [...document.querySelectorAll("table")].at(-1);
    const body = [...table.tBodies].at(-1);
    const at = [...table.tHead.rows[0].cells].findIndex((c) => c.textContent.startsWith("margin"));
    const values = () => [...body.rows].map((r) => Number(r.cells[at].dataset.value));
    const button = table.tHead.rows[0].cells[at].querySelector("button");
    const sorted = (list, sign) => list.every((v, i) => !i || sign * (v - list[i - 1]) >= 0);
    button.click(); const down = sorted(values(), -1);
    button.click(); const up = sorted(values(), 1);
    document.title = `down ${down} up ${up} rows ${values().length}`;
    </script></body>"""
    path = tmp_path / "page.html"
    path.write_text(page[0].replace("</body>", check), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom",
        path.as_uri(),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", ran.stdout)[1]
    assert re.fullmatch(r"down true up true rows \d+", title)
    assert "CONSOLE" not in ran.stderr
