"""What people see of a run and type into it: modes `kbd` and `stats`."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import MimocorbError

from .keyboard import Keyboard, answer
from .terminal import Terminal, silence
from .window import WITHOUT_DISPLAY, ControlWindow, has_display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.live import Live

LINE_EVERY_S = 5.0
PROMPT = "mimocorb> "
HINT = "(help lists the commands)"


class LineTerminal(Terminal):
    """Mode `stats` without a terminal: a line with rates every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._next_s = 0.0

    def show(self, overview: Mapping[str, Any]) -> None:
        """Write a line if it is time."""
        from .table import overview_line

        if overview["run"]["state"] in ("running", "paused", "draining") and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_EVERY_S
            self.say(overview_line(overview))


class LiveTerminal(Terminal):
    """Mode `stats` on a terminal: tables at its bottom that are always up to date, all else above them."""

    def __init__(self) -> None:
        super().__init__()
        self._live: Live | None = None
        self._overview: Mapping[str, Any] | None = None
        self._prompt: str | None = None
        self._closed = False

    def show(self, overview: Mapping[str, Any]) -> None:
        """Show the state of the run."""
        self._overview = overview
        self._refresh()

    def prompt(self, typed: str) -> None:
        """Show what has been typed so far below the tables."""
        self._prompt = typed
        self._refresh()

    def close(self) -> None:
        """Leave the last tables where they are."""
        with self._lock, _outliving_the_terminal():
            self._closed = True
            if self._live is not None:
                self._prompt = None
                self._live.update(self._picture(), refresh=True)
                self._live.stop()
                self._live = None

    def _refresh(self) -> None:
        from rich.live import Live

        with self._lock, _outliving_the_terminal():
            if self._closed:
                return
            if self._live is None:
                self._live = Live(auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
                self._live.start()
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        from .table import overview_table

        parts: list[Any] = [Text(""), overview_table(self._overview)] if self._overview is not None else []
        if self._prompt is not None:
            prompt = Text(PROMPT + self._prompt + "_")
            parts += [Text(""), prompt if self._prompt else prompt.append(f"  {HINT}", style="dim")]
        return Group(*parts)

    def _write(self, stream: Any, text: str) -> None:
        with self._lock:
            live = self._live
            if live is not None:
                with _outliving_the_terminal():
                    live.console.print(text, markup=False, highlight=False, soft_wrap=True)
                return
        super()._write(stream, text)


@contextlib.contextmanager
def _outliving_the_terminal() -> Iterator[None]:
    try:
        yield
    except OSError:  # it has gone
        silence(sys.stdout)


class Console:
    """The terminal of a run in the modes that the user wants.

    Parameters
    ----------
    controls
        Any of ``kbd``, ``stats`` and ``gui``.
    command
        Carries out a command of the run by name and scope, and returns what happens; called from a thread of
        the console.
    letters
        Whether the letters of mimoCoRB 1 are commands, too.

    Attributes
    ----------
    terminal
        Where to write.
    """

    def __init__(
        self, controls: frozenset[str], command: Callable[[str, str], str], *, letters: bool = False
    ) -> None:
        wants_window = "gui" in controls
        self._window = ControlWindow(self._on_button) if wants_window and has_display() else None
        if wants_window and self._window is None and "kbd" not in controls:
            controls |= {"kbd", "stats"}  # the terminal does what the window would have done
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._live = LiveTerminal() if "stats" in controls and on_terminal else None
        plain = LineTerminal() if "stats" in controls else Terminal()
        self.terminal: Terminal = self._live or plain
        self._command = command
        self._letters = letters
        self._overview: Mapping[str, Any] | None = None
        self._busy = threading.Lock()
        self._keyboard: Keyboard | None = None
        if self._window is not None:
            self.terminal.listener = self._window.say
        elif wants_window:
            self.terminal.say(WITHOUT_DISPLAY)
        if "kbd" in controls:
            self._keyboard = Keyboard(self._on_line, self._live.prompt if self._live else None)
            if self._keyboard.start():
                self._invite()

    def note(self, overview: Mapping[str, Any]) -> None:
        """Take in the state of the run."""
        self._overview = overview
        self.terminal.show(overview)
        if self._window is not None:
            self._window.note(overview)

    def close(self) -> None:
        """Leave the terminal as it was, and close the window.  Idempotent."""
        if self._window is not None:
            self._window.close()
        if self._keyboard is not None:
            self._keyboard.close()
        self.terminal.close()

    def _on_line(self, line: str) -> None:
        text = answer(line, self._command, lambda: self._overview, letters=self._letters)
        if text:
            # Without a table the line stands on the terminal as it was typed.
            self.terminal.say(f"{PROMPT}{line.strip()}\n{text}" if self._live else text)

    def _on_button(self, name: str) -> None:
        try:
            self.terminal.say(self._command(name, "roots"))
        except MimocorbError as error:
            self.terminal.say(str(error))

    def _invite(self) -> None:
        """Show that commands can be typed."""
        if self._live is not None:
            self._live.prompt("")
        else:
            self.terminal.say(f"{PROMPT}{HINT}")
