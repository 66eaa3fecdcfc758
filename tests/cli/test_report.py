"""``compread report``: one page, whole, safe, small, and for everybody."""

import base64
import html
import json
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from contrast import contrast

from compread.cli import main
from compread.components import LayerShape, component_axis
from compread.store import part_path
from compread.store.paths import journal_path
from compread.views.plots.palette import FURTHER, GROUPS, INK

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
VOID = ("meta", "img", "br", "link", "input")


class Page(HTMLParser):
    """Headings, tables, links and figures of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.sources, self.tables = [], [], [], []
        self.figures, self.ids, self.named = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep what is opened, its source, and who it is named by."""
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "svg" and "role" in attrs:
            self.figures.append(attrs)
        if self.tables and tag in ("caption", "th"):
            self.tables[-1].append((tag, attrs.get("scope")))
        self.ids |= {attrs["id"]} if "id" in attrs else set()
        self.named += [attrs["aria-labelledby"]] if "aria-labelledby" in attrs else []
        self.sources += [attrs[key] for key in ("src", "href") if key in attrs]

    def handle_endtag(self, tag):
        """Only the innermost may be closed."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep the text of cells and headings."""
        if self.open and self.open[-1] in ("td", "th", "button"):
            self.cells.append(data.strip())


@pytest.fixture(scope="module")
def page(tmp_path_factory, stores, write_store):
    """The text of a page of three runs of one task and one of another, and its path."""
    folder = tmp_path_factory.mktemp("report")
    words = (" <b>no</b>", " yes")
    model = "/data/models/tiny.gguf"
    other = write_store(folder / "rte.h5", task="rte</script><script>", words=words, model=model)
    out = folder / "report.html"
    arguments = [str(stores), str(other), "--across-models", "-o", str(out)]
    assert main(["report", *arguments]) == 0
    return out.read_text("utf-8"), out


def ranked(text):
    """Of each table of components: the names of its columns, and its rows."""
    found = []
    for columns, data in re.findall(
        r'data-heads="([^"]*)".*?<script type="text/plain">(.*?)</script>', text, re.S
    ):
        names = [column["name"] for column in json.loads(html.unescape(columns))]
        lines = zlib.decompress(base64.b64decode(data)).decode().split("\n")
        found.append((names, [line.split("|") for line in lines]))
    return found


def test_the_page_is_whole_and_needs_no_network(page):
    """Every tag is closed, and nothing is loaded from elsewhere."""
    parsed = Page(page[0])
    assert parsed.open == []
    assert all(source.startswith("#") for source in parsed.sources)
    # A map and, for each store, its scatter and its reliability, of two tasks; and transfer.
    assert len(parsed.figures) == 2 + 2 * 4 + 1
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?https?:", page[0])


def test_names_cannot_be_markup(page):
    """A task or label that looks like HTML is text, also for the script's data."""
    assert "rte</script>" not in page[0] and "rte&lt;/script&gt;&lt;script&gt;" in page[0]
    assert "<b>no" not in page[0]


def test_every_component_is_on_it_as_rank_has_it(page, stores, capsys):
    """All of them, with their category beside q, and the full model first."""
    assert main(["rank", str(stores), "--top", "0", "--format", "json"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    names, (full, *rows) = ranked(page[0])[0]
    assert full[0] == "full" and [row[0] for row in rows] == [r["component"] for r in wanted[:-1]]
    q, category = (next(i for i, n in enumerate(names) if n.startswith(x)) for x in ("q", "cat"))
    assert category == q + 1
    for row, one in zip(rows, wanted, strict=False):
        assert row[1].startswith(f"{one['accuracy']:.3f} ") and row[category] in one["category"]


def test_what_one_looks_for_stands_first(page):
    """The columns that are shown until others are asked for; each is there once."""
    (names, _), *_ = ranked(page[0])
    shown = int(re.search(r'data-shown="(\d+)"', page[0])[1])
    assert names[:shown] == [
        *("component", "accuracy [95 % interval]", "accuracy sd", "q value", "category", "margin"),
        *("predicted negative", "predicted positive"),
    ]
    assert {"margin sd", "entropy"} <= set(names[shown:]) and len(set(names)) == len(names)


def test_paths_are_base_names(page, stores):
    """In headings and tables; what the commands were is at the end."""
    headings = " ".join(re.findall(r"<h[12][^>]*>(.*?)</h[12]>|<title>(.*?)</title>", page[0])[0])
    assert "tiny.gguf" in headings and "/data/models" not in page[0]
    assert str(stores) not in page[0].partition('id="commands"')[0]
    assert "sst2-t1-k4-s0" in Page(page[0]).cells


def test_how_it_and_its_stores_were_made(page):
    """The commands, the day, and each run's parameters."""
    assert "compread report" in page[0] and "compread extract -o s.h5" in page[0]
    assert re.search(r"Made on</dt><dd>\d{4}-\d\d-\d\d, with compread", page[0])
    assert {"How the runs were made", "worst sum error (logits)"} <= set(
        re.findall(r"<caption[^>]*>(.*?)</caption>", page[0]) + Page(page[0]).cells
    )


@pytest.mark.parametrize("number", [1, 2])
def test_transfer_is_between_runs(stores, tmp_path, number):
    """Two are enough for it; of one there is no such part."""
    paths, out = sorted(map(str, stores.iterdir()))[:number], tmp_path / "page.html"
    assert main(["report", *paths, "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert ("Correlation of accuracies between runs" in text) == (number == 2)
    assert (re.search(r"<h2[^>]*>Transfer", text) is not None) == (number == 2)


@pytest.mark.parametrize(
    ("run", "named"),
    [({}, "tiny"), ({"checkpoint": "s1"}, "tiny@s1"), ({"adapter": "/m/lora"}, "tiny with lora")],
)
def test_a_run_is_of_a_checkpoint_and_an_adapter(tmp_path, write_store, run, named):
    """As far as there are any, they stand behind the model's name."""
    out = tmp_path / "report.html"
    assert main(["report", str(write_store(tmp_path / "a.h5", **run)), "-o", str(out)]) == 0
    assert named in Page(out.read_text("utf-8")).cells


def test_unfinished_runs_are_named(tmp_path, write_store, capsys):
    """Each of them, however many, with how far it is."""
    write_store(tmp_path / "a.h5")
    for i in range(7):
        journal_path(part_path(tmp_path / f"begun{i}.h5", 0)).write_bytes(b"no journal")
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text("utf-8")
    table = text.partition("Runs that are not finished")[2].partition("</table>")[0]
    assert all(f"begun{i}" in table for i in range(7)) and "begun0" in capsys.readouterr().err


def test_figures_name_what_they_show(page):
    """Each has a text for who can't see it, and every component's name and values for the tip."""
    figures = Page(page[0]).figures
    assert all(figure["aria-label"] for figure in figures)
    heat = next(figure for figure in figures if figure.get("data-what") == "accuracy")
    at = heat["data-columns"].split("|").index("0")
    values = heat["data-values"].split(" ")
    assert heat["data-rows"].split("|")[0] == "0" and values[at] == ".9"
    names = re.findall(r'data-group="good" data-names="([^"]*)"[^>]*d="(.*?)"', page[0])
    assert names[0][0] == "L0H0"
    # Thousandths of the plane from its top, so that the tip tells the accuracy to three digits.
    x, y = map(int, re.match(r"M(-?\d+) (-?\d+)", names[0][1]).groups())
    assert 1000 - y == 900 and 0 <= x <= 1000


def test_a_screen_reader_finds_its_way(page):
    """Every table has a caption and scopes, every name points to an element, and one can skip."""
    parsed = Page(page[0])
    for table in parsed.tables:
        assert [tag for tag, _ in table].count("caption") == 1
        assert {scope for tag, scope in table if tag == "th"} == {"col", "row"}
    assert set(parsed.named) <= parsed.ids
    assert {source[1:] for source in parsed.sources} <= parsed.ids and "main" in parsed.ids


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out(theme):
    """By 4.5 to 1 on the page and on a row under the pointer, and lines by 3 to 1."""
    text = files("compread.views").joinpath("report.html").read_text("utf-8")
    block = re.findall(r":root \{([^}]*--ink[^}]*)\}", text)[theme]
    colours = dict(re.findall(r"--(\w+): #(\w+);", block))
    for name, least in {"ink": 4.5, "soft": 4.5, "link": 4.5, "line": 3, "mark": 3}.items():
        for ground in ("page", "shade"):
            apart = contrast(colours[name], colours[ground])
            assert apart >= least or (name, ground) == ("line", "shade")
    for colour, _, _ in [*GROUPS.values(), *FURTHER]:
        assert colour == INK or contrast(colour, colours["page"]) >= 3


def test_a_large_model_is_a_small_page(tmp_path, write_store):
    """Two runs of 1,058 components take a sixth of a megabyte at most: all is there once."""
    axis = component_axis([LayerShape(32)] * 32)
    for seed in range(2):
        write_store(tmp_path / f"s{seed}.h5", seed=seed, axis=axis, n_train=4, n_test=40)
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").stat().st_size < 1_000_000 / 6
    (_, rows), *_ = ranked((tmp_path / "r.html").read_text("utf-8"))
    assert len(rows) == 1 + 32 * 33


def test_what_has_no_room_is_told(tmp_path, write_store):
    """Of more stores of a task than are drawn, how many are."""
    for seed in range(11):
        write_store(tmp_path / f"s{seed}.h5", seed=seed, n_train=4, n_test=20)
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "Scatters and reliability are of the first 9 of 11 stores." in text
    assert len(Page(text).figures) == 2 + 9 + 9


def test_it_is_replaced_by_force_only(page, stores, capsys):
    """A page that exists stays unless --force is given."""
    assert main(["report", str(stores), "-o", str(page[1])]) == 1
    assert "--force" in capsys.readouterr().err


def in_a_browser(text, script, folder):
    """The title of a page in headless Chromium, after a script that sets it; nothing is logged."""
    path = folder / "page.html"
    start, _, end = text.rpartition("</body>")
    wait = "if (ready()) check(); else setTimeout(wait, 20);"
    script = f"const check = () => {{\n{script}\n}}; const wait = () => {{ {wait} }}; wait();"
    ready = 'const ready = () => "ready" in document.documentElement.dataset || frames.length;'
    path.write_text(f"{start}<script>{ready}{script}</script></body>{end}", encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--dump-dom",
        "--virtual-time-budget=30000", path.as_uri(),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in ran.stderr
    return html.unescape(re.search(r"<title>(.*?)</title>", ran.stdout, re.S)[1])


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_sorts_and_narrows_it(page, tmp_path):
    """Every component is there; headings sort, fields narrow, columns come and go."""
    check = (Path(__file__).parent / "report_in_browser.js").read_text("utf-8")
    found = json.loads(in_a_browser(page[0], check, tmp_path))
    assert found.pop("point").startswith("L0H0, good: accuracy 0.9, share predicted")
    assert found.pop("said").startswith("1 of 8 components")
    assert found == {
        "rows": 8, "down": True, "up": True, "sort": "ascending", "find": "L1H0,L1H1", "kind": 3,
        "layers": 5, "category": "L0H0", "columns": True, "small": "sst2-t1-k4-s2",
        "heat": "L0H0: accuracy 0.9",
    }  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_barrier(page, tmp_path, theme):
    """Neither as it is read at first, nor in dark colours."""
    package = pytest.importorskip("axe_core_python")
    axe = files(package).joinpath("axe.min.js").read_text("utf-8")
    check = f"{axe}\naxe.run().then((found) => {{ document.title = JSON.stringify("
    check += "found.violations.map((v) => [v.id, v.nodes[0].html.slice(0, 200)])); });"
    text = page[0]
    if theme == "dark":
        text = text.replace("@media screen and (prefers-color-scheme: dark)", "@media screen")
        assert text != page[0]
    assert json.loads(in_a_browser(text, check, tmp_path)) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_phone_shows_it_without_cutting_a_heading(page, tmp_path):
    """Nothing is wider than a small screen but what scrolls on its own."""
    frame = "<iframe style='width: 320px; height: 600px; border: 0' srcdoc='{}'></iframe>"
    inner = html.escape(page[0].replace("sst2", "a_task_whose_name_has_no_end_" * 3), quote=True)
    check = """
    const frame = document.querySelector("iframe");
    const look = () => {
      const page = frame.contentDocument;
      const parts = [...page.querySelectorAll("h1, h2, dd, nav, pre, figure, .tools")];
      const cut = parts.filter((e) => e.getBoundingClientRect().right > 320.5);
      const width = page.documentElement.scrollWidth;
      document.title = JSON.stringify([width, cut.map((e) => e.tagName), parts.length > 5]);
    };
    frame.addEventListener("load", look);
    if (frame.contentDocument?.readyState === "complete") look();
    """
    head = "<!doctype html><html><head><title>-</title></head>"
    outer = f"{head}<body>{frame.format(inner)}</body></html>"
    width, cut, looked = json.loads(in_a_browser(outer, check, tmp_path))
    assert width <= 320 and cut == [] and looked
