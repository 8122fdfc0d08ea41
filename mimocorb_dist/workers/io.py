"""What a worker's function is given: its ends of the buffers, its configuration, its directories."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy.typing as npt

from mimocorb_dist.errors import SetupError

from .generations import LISTS, bare
from .stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter
    from mimocorb_dist.ring.interface import Interface

Metadata = npt.NDArray["np.void"]
Data = npt.NDArray[Any]
T = TypeVar("T")
D = TypeVar("D", bound="np.generic")


class Config(dict[str, Any]):
    """A worker's configuration: a dictionary.

    ``config["name"]``, ``config["run_directory"]`` and ``config["debug"]``, which were entries in the first
    versions of mimoCoRB2, are found, too, unless the setup sets them; they are not listed.
    """

    def __init__(self, values: Mapping[str, Any], name: str, run_dir: Path) -> None:
        super().__init__(values)
        self._implied = {"name": name, "run_directory": str(run_dir), "debug": False}

    def __missing__(self, key: str) -> Any:
        return self._implied[key]


class MissingEntry(SetupError, KeyError):  # noqa: N818 (users know it as KeyError)
    """A worker's configuration lacks an entry."""

    __str__ = Exception.__str__  # that of KeyError puts quotes around the message


class BufferIO:
    """The buffers and the configuration of one worker.

    Parameters
    ----------
    name
        Name of the worker in the setup.
    read, write, observe
        Its ends of the buffers, in the order of `sources`, `sinks` and `observes` in the setup. Each is used
        as ``with io.read[0] as (metadata, data)``.
    config
        The configuration of the worker.
    setup_dir
        The directory of the setup file.
    run_dir
        The directory of this run, for output.
    logger
        Where the worker logs to; by default the logger of its name.
    run_id
        Id of the run, as in ``run.json``.
    node
        Name of the node.
    number, processes
        Which of the worker's processes on this node this one is, from 0, and how many there are.
    assigned
        Of a function of mimoCoRB 1: what it does with each buffer, in the order of its setup.

    Attributes
    ----------
    data_in_examples, data_out_examples, data_observe_examples
        For each source, sink and observed buffer an array of zeros like its data, shape (data_length,).
    metadata_in_examples, metadata_out_examples, metadata_observe_examples
        The same for the metadata, shape (1,).
    buffer_names_in, buffer_names_out, buffer_names_observe
        Names of the buffers.
    events
        How many events the worker has dealt with so far: kept by the templates.
    in_hand
        Metadata, shape (k,), of the events that an iteration has given last; None if there are none.
    stop
        Whether the worker has been asked to end.
    begin
        Called by the templates before they come to the events: it returns when the run begins.
    tell
        Has something stand in the record of the run, among what led to restarts of the worker.
    again
        Whether this process takes the place of one that was killed or failed, whose memory is gone.
    hand_path
        Where to note what goes from the source to sinks, so that it goes there once, also if this process is
        killed; None if nobody would look at the notes.
    data_first
        Whether ends of buffers give data before metadata under their older names: see `generations`.
    """

    _all: ClassVar[weakref.WeakSet[BufferIO]] = weakref.WeakSet()

    def __init__(
        self,
        name: str,
        read: Sequence[BufferReader] = (),
        write: Sequence[BufferWriter] = (),
        observe: Sequence[BufferObserver] = (),
        config: Mapping[str, Any] | None = None,
        setup_dir: Path | str = ".",
        run_dir: Path | str = ".",
        logger: logging.Logger | None = None,
        *,
        run_id: str = "",
        node: str = "",
        number: int = 0,
        processes: int = 1,
        assigned: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.read = list(read)
        self.write = list(write)
        self.observe = list(observe)
        self.setup_dir = self.setup_directory = Path(setup_dir)
        self.run_dir = self.run_directory = Path(run_dir)
        self.config = Config(config or {}, name, self.run_dir)
        self.logger = logger or logging.getLogger(name)
        self.run_id = run_id
        self.node = node
        self.number = number
        self.processes = processes
        self.assigned = dict(assigned or {})
        self.data_in_examples = [end.data_example for end in self.read]
        self.data_out_examples = [end.data_example for end in self.write]
        self.data_observe_examples = [end.data_example for end in self.observe]
        self.metadata_in_examples = [end.metadata_example for end in self.read]
        self.metadata_out_examples = [end.metadata_example for end in self.write]
        self.metadata_observe_examples = [end.metadata_example for end in self.observe]
        self.buffer_names_in = [end.name for end in self.read]
        self.buffer_names_out = [end.name for end in self.write]
        self.buffer_names_observe = [end.name for end in self.observe]
        self.events = 0
        self.stop = Stop()
        self.begin: Callable[[], None] = lambda: None
        self.tell: Callable[[str], None] = self.logger.warning
        self.again = False
        self.hand_path: Path | None = None
        self.in_hand: Metadata | None = None
        self.data_first = False
        self._iteration: Generator[Any, None, None] | None = None
        self._all.add(self)

    def __getitem__(self, key: str) -> Any:
        """Return a value of the configuration.

        Raises
        ------
        KeyError
            If there is none (as a `SetupError`, too). The sinks are shut down then: without its configuration
            the worker cannot go on.
        """
        if key not in self.config:
            self.shutdown_sinks()
            has = f"it has {', '.join(map(str, self.config))}" if self.config else "it is empty"
            raise MissingEntry(f"worker {self.name}: its config has no {key!r} ({has}); add it in the setup")
        return self.config[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value of the configuration, or `default` if there is none."""
        return self.config.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.config

    def shutdown_sinks(self) -> None:
        """End the streams of events that this worker writes. Templates do it when they have finished."""
        for writer in self.write:
            writer.close()

    def iterate(self, iteration: Generator[T, None, None]) -> Generator[T, None, None]:
        """Keep hold of an iteration over events until it is known what became of the event given last.

        A loop that is left lets go of its generator in the same way whether it was left by ``break`` or by an
        error; but after an error the event counts as not read. So templates pass their generators through
        here. Only one iteration can be open: a new one ends the one before.
        """
        self._end_iteration()
        self._iteration = iteration
        return iteration

    def finish(self) -> None:
        """Give back what the worker holds after its function has returned, and end its streams."""
        self._end_iteration()
        for reader in self.read:
            reader.close()
        self.shutdown_sinks()

    def fail(self, error: BaseException) -> None:
        """Give back what the worker holds after its function has raised: the event in hand is not read.

        The sinks stay open: whether their streams end is decided by those who watch over the worker.
        """
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            try:
                iteration.throw(error)
            except BaseException as raised:  # noqa: BLE001 (it is the error itself, as it should be)
                if raised is not error:
                    self.logger.warning("while giving back an event: %r", raised)
        for reader in self.read:
            reader.close()

    def _end_iteration(self) -> None:
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            iteration.close()

    def __str__(self) -> str:
        return (
            f"BufferIO({self.name}: sources={self.buffer_names_in}, sinks={self.buffer_names_out}, "
            f"observes={self.buffer_names_observe}, config={dict(self.config)})"
        )

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self} belongs to its process; give other processes the values that they need, "
            "or start them by fork to observe buffers there"
        )

    @property
    def data_in_example(self) -> Data:
        """An array of zeros like the data of the only source, shape (data_length,)."""
        return self._only(self.data_in_examples, "source")

    @property
    def data_out_example(self) -> Data:
        """The same for the only sink."""
        return self._only(self.data_out_examples, "sink")

    @property
    def data_observe_example(self) -> Data:
        """The same for the only observed buffer."""
        return self._only(self.data_observe_examples, "observed buffer")

    @property
    def metadata_in_example(self) -> Metadata:
        """An array of zeros like the metadata of the only source, shape (1,)."""
        return self._only(self.metadata_in_examples, "source")

    @property
    def metadata_out_example(self) -> Metadata:
        """The same for the only sink."""
        return self._only(self.metadata_out_examples, "sink")

    @property
    def metadata_observe_example(self) -> Metadata:
        """The same for the only observed buffer."""
        return self._only(self.metadata_observe_examples, "observed buffer")

    def _only(self, examples: list[npt.NDArray[D]], what: str) -> npt.NDArray[D]:
        if len(examples) != 1:
            raise AttributeError(
                f"worker {self.name} has {len(examples)} {what}s; use the list of examples, one for each"
            )
        return examples[0]


def as_buffer_io(arguments: Any) -> BufferIO:
    """Return the `BufferIO` that a template was given, in any of the forms of mimoCoRB2.

    Parameters
    ----------
    arguments
        A `BufferIO`; a sequence of just that (functions declared as ``def worker(*mimo_args)``); or the
        sequence (sources, sinks, observes, config).

    Raises
    ------
    SetupError
        If it is none of these.
    """
    if isinstance(arguments, BufferIO):
        return arguments
    if isinstance(arguments, Sequence) and not isinstance(arguments, str):
        if len(arguments) == 1:
            return as_buffer_io(arguments[0])
        if len(arguments) == LISTS and isinstance(arguments[3], Mapping):
            read, write, observe = ([bare(end) for end in ends or ()] for ends in arguments[:3])
            return _io_with(read, write, observe, arguments[3])
    raise SetupError(
        f"a template was made from {type(arguments).__name__}; "
        "give it the BufferIO that the worker's function gets"
    )


def _io_with(
    read: list[BufferReader],
    write: list[BufferWriter],
    observe: list[BufferObserver],
    config: Mapping[str, Any],
) -> BufferIO:
    """Return the worker's `BufferIO` that has these ends; if it has more, another one with these only."""
    ends: set[Interface] = {*read, *write, *observe}
    own = next((io for io in BufferIO._all if ends and ends <= {*io.read, *io.write, *io.observe}), None)
    if (
        own is not None
        and (own.read, own.write, own.observe) == (read, write, observe)
        and own.config is config
    ):
        return own
    if own is None:
        name, run_dir = config.get("name", "worker"), config.get("run_directory", ".")
        return BufferIO(str(name), read, write, observe, config, run_dir=run_dir)
    part = BufferIO(
        own.name, read, write, observe, config, own.setup_dir, own.run_dir, own.logger,
        run_id=own.run_id, node=own.node, number=own.number, processes=own.processes,
    )  # fmt: skip
    part.stop, part.begin, part.data_first = own.stop, own.begin, own.data_first
    part.tell, part.again = own.tell, own.again
    return part


def describe(end: Interface) -> str:
    """Describe a buffer for messages: its name, length and type."""
    return f"{end.name} ({describe_type(end.data_example)})"


def describe_type(array: Data) -> str:
    """Describe the length and dtype of an event's data for messages."""
    dtype = array.dtype
    if dtype.names is None:
        fields = str(dtype)
    else:
        fields = ", ".join(f"{name}: {dtype[name]}" for name in dtype.names)
    return f"{array.size} x {{{fields}}}"
