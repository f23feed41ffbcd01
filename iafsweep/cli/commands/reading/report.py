"""`run_sweep.py report`."""

import threading
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.api.shown.command import report_command
from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Folder, Show
from iafsweep.errors import UserError


def report(
    folder: Folder,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine only, updated as rows arrive; Ctrl-C ends it."),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Rewrite the file as rows arrive, until the sweep ends or Ctrl-C.")
    ] = False,
    browser: Annotated[bool, typer.Option("--open", help="With --serve: open the page in the browser.")] = False,
    show: Show = None,
    to: Annotated[
        Path | None, typer.Option(help="File to write; `-`: standard output; default: report.html in the sweep folder.")
    ] = None,
) -> None:
    """Write report.html into a sweep folder: one page with leaderboard, charts and pictures that opens offline.

    The sweep may be running, interrupted or without a single good trial; the page tells what is missing and why.

    - `run_sweep.py report runs/quick-1 --serve`
    - `run_sweep.py report /shared/runs/quick-1 --to quick.html` writes nothing into the sweep folder
    """
    console, shown = make_console(to), show or []
    if serve and (follow or to is not None):
        raise UserError("--serve writes no file, so it takes neither --follow nor --to; leave one of them out")
    if browser and not serve:
        raise UserError("--open needs --serve; a written report opens like any file")
    if serve:
        _serve(folder, shown, console, browser=browser)
        return
    with loading("the sweep"):
        from iafsweep.api import results

        pages = results.report(folder, report_command(folder.absolute(), shown), shown, to=to, follow=follow)
        path = next(pages)
    say(console, f"Report: {path}{', rewritten while the sweep goes on; Ctrl-C ends it' if follow else ''}")
    for _ in pages:
        pass


def _serve(folder: Path, show: Sequence[str], console: Console, *, browser: bool) -> None:
    with ExitStack() as stack:
        with loading("the sweep"):
            from iafsweep.api import results

            command = report_command(folder.absolute(), show)
            address = stack.enter_context(results.served_report(folder, command, show))
        say(console, f"Report: {address}\nServed on this machine only, updated as rows arrive; Ctrl-C ends it")
        if browser:
            webbrowser.open(address)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say(console, "Ended; nothing was written")
