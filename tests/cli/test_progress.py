"""What a grid of runs says of itself: its place, its pace, its end, and what it warns of once."""

from types import SimpleNamespace

import pytest

from compread.cli import progress
from compread.cli.progress import GridClock, RowProgress, duration, pace
from compread.extract.label_mass import mass_warning
from compread.prompts import work


class Watch:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self):
        """The time."""
        return self.now


def test_the_end_of_all_runs_is_forecast_from_what_was_measured():
    """A run of 100 at 2 a second leaves 50 + 200 and 100 of work: 175 s; a run done is none."""
    watch = Watch()
    clock = GridClock([100, 200, 0, 100], watch)
    clock.begin()
    clock.update(0, 10)
    assert clock.place == "run 1 of 4" and clock.seconds_left() is None
    watch.now = 25
    clock.update(5, 10)
    assert clock.seconds_left() == pytest.approx((50 + 200 + 100) / 2)
    watch.now = 50
    clock.update(10, 10)
    clock.end()
    clock.begin()
    clock.update(5, 10)  # half of its rows were kept from before
    assert clock.place == "run 2 of 4"
    assert clock.seconds_left() == pytest.approx((100 + 100) / 2)
    watch.now = 75
    clock.update(10, 10)
    assert clock.seconds_left() == pytest.approx(100 / (200 / 75))


def test_a_run_that_was_kept_measures_nothing():
    """A store that is finished already says nothing of how fast rows are run."""
    watch = Watch()
    clock = GridClock([100, 100], watch)
    clock.begin()
    watch.now = 1
    clock.end()
    clock.begin()
    clock.update(0, 10)
    watch.now = 11
    clock.update(5, 10)
    assert clock.seconds_left() == pytest.approx(10)


@pytest.mark.parametrize(
    ("revision", "size", "said"),
    [
        (None, None, "loading a/b\n"),
        (None, 1_200_000, "loading a/b, 1.2 MB\n"),
        ("step10", 1_200_000, "loading a/b step10, 1.2 MB\n"),
    ],
)
def test_what_is_loaded_is_said(monkeypatch, capsys, revision, size, said):
    """Which revision of the model where one is asked for, and how large it is where one knows."""
    monkeypatch.setattr("compread.model.load.sources.saved_bytes", lambda request: size)
    progress.say_loading(SimpleNamespace(name="a/b", revision=revision))
    assert capsys.readouterr().err == said


@pytest.fixture
def watch(monkeypatch):
    """The clock of progress lines, set by hand."""
    watch = Watch()
    monkeypatch.setattr(progress.time, "monotonic", watch)
    return watch


@pytest.mark.parametrize("works", [[1], [100, 100]])
@pytest.mark.parametrize("quiet", [False, True])
def test_a_pipe_is_told_once_after_a_while(watch, capsys, works, quiet):
    """A line with pace and the time that is left, and of how many runs; none where it is quiet."""
    with RowProgress("a.h5", GridClock(works, watch), quiet=quiet) as show:
        for watch.now, done in ((0, 20), (60, 50), (80, 60), (100, 80)):
            show(done, 100, 50 * (done - 20))
    lines = capsys.readouterr().err.splitlines()
    if quiet:
        assert lines == []
        return
    alone = f"a.h5: 60 of 100 rows, {pace(40, 80)}, 25 tokens/s, {duration(80)} left"
    grid = f"run 1 of 2, {alone}, all runs {duration(280)}"
    assert lines == [alone if len(works) == 1 else grid]


@pytest.mark.parametrize("works", [[1], [100, 100]])
def test_a_terminal_has_a_bar(watch, monkeypatch, capsys, works):
    """Its rows from the first call on; pace and the time that is left once rows were run."""
    said = []
    bar = SimpleNamespace(
        start=lambda: said.append("start"),
        stop=lambda: said.append("stop"),
        add_task=lambda name, **first: said.append(name) or 7,
        update=lambda task, **told: said.append((task, told)),
    )
    monkeypatch.setattr(progress, "_bar", lambda color, columns: bar)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with RowProgress("a.h5", GridClock(works, watch), quiet=False) as show:
        show(20, 100, 0)
        watch.now = 20
        show(40, 100, 10)
    left = duration(60) if len(works) == 1 else f"{duration(60)}, all {duration(160)}"
    name = "a" if len(works) == 1 else "run 1 of 2 a"
    assert said == [
        "start", name, (7, {"completed": 20, "total": 100}), (7, {"completed": 40, "total": 100}),
        (7, {"speed": pace(20, 20), "left": left}), "stop",
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_a_bar_shows_a_name_as_it_is(capsys):
    """Square brackets are no styles; rows, pace and the time that is left stand behind it."""
    bar = progress._bar(False, 60)
    bar.add_task("[b]a", total=10, completed=3, speed="2 rows/s", left="0:05")
    bar.console.print(bar.get_renderable())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[b]a ") and " ".join(line.split()[-5:]) == "3/10 rows 2 rows/s 0:05"
    assert len(line) <= 60


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("place", ["", "run 12 of 12"])
def test_a_long_name_leaves_room_for_the_bar(capsys, columns, place):
    """Its end is shown, behind the run's place, and all stands on one line."""
    title = progress._title(place, f"{'x' * 100}-s0.h5", columns)
    bar = progress._bar(False, columns)
    bar.add_task(title, total=1000, completed=300, speed="12.3 rows/s", left="1:02:03")
    bar.console.print(bar.get_renderable())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{place} ...x".strip()) and "x-s0 " in line
    assert columns - 30 < len(line.rstrip()) <= columns


def test_one_run_has_no_place():
    """A single run is not called the first of one."""
    clock = GridClock([1])
    clock.begin()
    assert clock.place == ""


@pytest.mark.parametrize(
    ("texts", "characters"), [((), 0), (("abc",), 3), (("ab1", "ab23"), 5), (("x", "y"), 2)]
)
def test_the_work_counts_a_shared_beginning_once(texts, characters):
    """What all prompts begin with is read once."""
    prompts = [SimpleNamespace(text=text) for text in texts]
    assert work(SimpleNamespace(prompts=prompts)) == characters


@pytest.mark.parametrize(
    ("rows", "seconds", "text"),
    [(30, 10, "3.0 rows/s"), (10, 10, "1.0 rows/s"), (9, 10, "1.1 s/row"), (1, 90, "90.0 s/row")],
)
def test_slow_rows_are_told_in_seconds(rows, seconds, text):
    """Below a row a second it is the seconds that say something."""
    assert pace(rows, seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "0:05"), (723, "12:03"), (3723, "1:02:03")])
def test_durations(seconds, text):
    """Hours stand where there are any."""
    assert duration(seconds) == text


def test_low_mass_is_one_line_for_all_runs():
    """How many of how many runs, and the worst of them by name."""
    assert mass_warning({"a.h5": 0.5, "b.h5": 0.2}) == ""
    assert mass_warning({"a.h5": 0.001}).startswith("a.h5: the label words have 0.10% of the prob")
    found = mass_warning({"a.h5": 0.001, "b.h5": 0.5, "c.h5": 0.0002})
    assert "median of 2 of 3 runs (worst 0.02%, c.h5)" in found and "\n" not in found
