"""What an export tells about its progress, and how the command line shows it."""

import io
from collections.abc import Callable

from aatm_onnx_export.progress import Progress, Reporter

from aatm_onnx.cli.export import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, run: Callable[[Reporter], object]) -> str:
    line = ProgressLine(stream)
    run(Reporter(line))
    line.close()
    return stream.getvalue()


def two_steps(report: Reporter) -> None:
    report.step("Reading x")
    done = report.step("Writing the graph")
    for layer in (1, 2, 4):
        done(layer / 4)


def test_a_step_says_what_is_done_of_it_and_what_time_is_left() -> None:
    told: list[Progress] = []
    two_steps(Reporter(told.append))
    assert [(each.step, each.fraction) for each in told] == [
        ("Reading x", None),
        ("Writing the graph", None),
        ("Writing the graph", 0.25),
        ("Writing the graph", 0.5),
        ("Writing the graph", 1.0),
    ]
    assert all(each.seconds_left is None for each in told[:2])
    assert all(each.seconds_left is not None and each.seconds_left >= 0 for each in told[2:])
    assert told[-1].seconds_left == 0


def test_a_log_has_a_line_for_each_step() -> None:
    assert shown(io.StringIO(), two_steps) == "Reading x ...\nWriting the graph ...\n"


def test_a_terminal_shows_a_bar() -> None:
    text = shown(Terminal(), two_steps)
    assert text.startswith("Reading x ...\nWriting the graph ...\r")
    assert f"Writing the graph ... [{'#' * 12}{'-' * 12}] 50%" in text
    assert text.endswith(f"[{'#' * 24}] 100%\n")
