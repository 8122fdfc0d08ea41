"""Buffers and functions that a script sets up and runs itself: `buffer_control` of mimoCoRB 1.

``mimocorb-node start``, and `run_mimoDAQ`, do more: they keep the record of a run, and rescue events. This is
for scripts that have their own ways.
"""

from __future__ import annotations

import graphlib
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import SetupError

from .mimo_buffer import NewBuffer

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_JOIN_S = 3.0
_USES = ("read", "write", "observe")

Items = Sequence[Mapping[str, Mapping[str, Any]]]


class buffer_control:
    """Sets up the buffers and functions of a setup, and starts, pauses, stops and ends them.

    Parameters
    ----------
    buffers_dict
        What stands under ``RingBuffer`` in a setup: ``[{"RB_1": {...}}, ...]``.
    functions_dict
        What stands under ``Functions``: ``[{"Fkt_main": {...}}, {"Fkt_1": {...}}, ...]``.
    function_config_dict
        What stands under ``FunctionConfigs``: configs by names of functions.
    output_directory
        Where output and copies of config files go. In mimoCoRB 1.0 there were no function configs, and this
        was the third argument.

    Attributes
    ----------
    ringbuffers
        Name -> `NewBuffer`, after `setup_buffers`.
    ringbuffer_names
        Their names.
    process_list
        Processes, in the order of the functions; reversed by `start_workers`.
    runtime, runevents
        Limits of a run, in s and in events of RB_1, after `setup_workers`; 0 is none. The script minds them.
    status
        ``Initialized``, ``BuffersSet``, ``WorkersSet``, ``Running``, ``Paused``, ``Stopped`` or ``Shutdown``.
    start_time, cumulative_pause_time
        When workers were started, in s since 1970, and for how many s the run has been paused.
    """

    def __init__(
        self,
        buffers_dict: Items,
        functions_dict: Items,
        function_config_dict: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        output_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        if output_directory is None and isinstance(function_config_dict, (str, os.PathLike)):
            configs, output_directory = None, function_config_dict
        else:
            configs = function_config_dict
        self.buffers_dict = buffers_dict
        self.functions_dict = functions_dict
        self.function_config_dict: Any = configs or {}
        self.out_dir = f"{os.fspath(output_directory or '.').rstrip('/')}/"
        self.number_of_ringbuffers = len(buffers_dict) + 1
        self.number_of_functions = len(functions_dict)
        self.ringbuffers: dict[str, NewBuffer] = {}
        self.ringbuffer_names: list[str] = []
        self.parallel_functions: dict[str, tuple[str, int, dict[str, str]]] = {}
        self.process_list: list[BaseProcess] = []
        self.runtime = self.runevents = 0
        self.workers_setup = self.workers_started = False
        self.start_time = self.pause_time = self.cumulative_pause_time = 0.0
        self.status = "Initialized"

    def setup_buffers(self) -> dict[str, NewBuffer]:
        """Make the buffers.

        Raises
        ------
        SetupError
            If one is not described as it must be.
        """
        for number, item in enumerate(self.buffers_dict, 1):
            name = f"RB_{number}"
            entry = _entry(item, name, "RingBuffer")
            slots, values, data_type = (
                _value(entry, key, name) for key in ("number_of_slots", "channel_per_slot", "data_type")
            )
            buffer = NewBuffer(slots, values, _dtype(data_type, name), name=name)
            self.ringbuffers[name] = buffer
            self.ringbuffer_names.append(name)
        self.status = "BuffersSet"
        return self.ringbuffers

    def setup_workers(self) -> None:
        """Prepare the processes of all functions.

        Raises
        ------
        SetupError
            If a function is not described as it must be, or its files are not there.
        """
        if self.workers_setup:
            print("the workers have been set up already")  # noqa: T201 (scripts show it)
            return
        main = _entry(self.functions_dict[0], "Fkt_main", "Functions") if self.functions_dict else {}
        common = self._config_file(main["config_file"], "Fkt_main") if "config_file" in main else {}
        limits = {**main, **(common.get("general") or {})}
        self.runtime, self.runevents = limits.get("runtime", 0), limits.get("runevents", 0)
        for number, item in enumerate(self.functions_dict[1:], 1):
            name = f"Fkt_{number}"
            self._setup_function(name, _entry(item, name, "Functions"), common)
        self.workers_setup = True
        self.status = "WorkersSet"

    def start_workers(self) -> list[BaseProcess]:
        """Start all processes, those at the end of the data flow first; return them in this order."""
        self.start_time = time.time()
        if self.workers_started:
            print("the workers have been started already")  # noqa: T201
            return self.process_list
        self.process_list.reverse()
        for process in self.process_list:
            process.start()
        self.workers_started = True
        self.status = "Running"
        return self.process_list

    def pause(self) -> None:
        """Let the sources of RB_1 wait."""
        self.ringbuffers["RB_1"].pause()
        self.status = "Paused"
        self.pause_time = time.time()

    def resume(self) -> None:
        """Go on after a pause."""
        if self.status != "Paused":
            print(f"there is nothing to resume: the run is {self.status}, not Paused")  # noqa: T201
            return
        self.ringbuffers["RB_1"].resume()
        self._end_of_pause()
        self.status = "Running"

    def stop(self) -> None:
        """End the sources. What is in the buffers will still be read."""
        for buffer in self.ringbuffers.values():
            buffer.set_ending()
        if self.status == "Paused":
            self._end_of_pause()
        self.status = "Stopped"

    def shutdown(self) -> None:
        """End the run: all events are read, then the processes end, and the buffers are removed.

        A process that does not end within 3 s is ended.
        """
        if self.status != "Stopped":
            self.stop()
        for name in self._downstream():
            self.ringbuffers[name].shutdown()
        started = [process for process in self.process_list if process.pid is not None]
        deadline_s = time.monotonic() + _JOIN_S
        for process in started:
            process.join(max(0.0, deadline_s - time.monotonic()))
        for process in started:
            if process.is_alive():
                print(f"ending {process.name} (process {process.pid}), which goes on")  # noqa: T201
                process.terminate()
        for process in started:
            process.join(_JOIN_S)
            if process.is_alive():
                process.kill()
                process.join()
        for buffer in self.ringbuffers.values():
            buffer.close()
        self.ringbuffers = {}
        self.status = "Shutdown"

    def display_layout(self) -> None:
        """Print the buffers: name, slots, and values in a slot."""
        print("List of buffers")  # noqa: T201
        for name, buffer in self.ringbuffers.items():
            print(name, buffer.number_of_slots, buffer.values_per_slot)  # noqa: T201

    def display_functions(self) -> None:
        """Print the functions: name, number of processes, and what they do with which buffers."""
        print("List of functions")  # noqa: T201
        for key, (name, processes, assigned) in self.parallel_functions.items():
            print(key, name, f"({processes})", assigned)  # noqa: T201

    # Parts.

    def _setup_function(self, key: str, entry: Mapping[str, Any], common: Mapping[str, Any]) -> None:
        file_name, name = (str(_value(entry, what, key)) for what in ("file_name", "fkt_name"))
        file = Path(f"{file_name}.py").absolute()
        if not file.is_file():
            raise SetupError(f"{key}: there is no file {file}; correct file_name (without .py)")
        processes = int(entry.get("num_process", 1))
        assigned = {str(buffer): str(use) for buffer, use in (entry.get("RB_assign") or {}).items()}
        lists: dict[str, list[dict[str, Any]]] = {use: [] for use in _USES}
        for buffer_name, use in assigned.items():
            buffer = self.ringbuffers.get(buffer_name)
            if buffer is None or use not in _USES:
                raise SetupError(
                    f"{key}: RB_assign has {buffer_name}: {use}; there are {', '.join(self.ringbuffers)}, "
                    f"to {', '.join(_USES)}"
                )
            make = {
                "read": buffer.new_reader_group,
                "write": buffer.new_writer,
                "observe": buffer.new_observer,
            }
            lists[use].append(make[use]())
        config = {**self._config_of(key, name, entry, common), "directory_prefix": self.out_dir}
        self.parallel_functions[key] = (name, processes, assigned)
        arguments = [lists[use] or None for use in _USES]
        self.process_list += [
            multiprocessing.Process(
                target=run_function, args=(str(file), name, *arguments, config, assigned), name=name
            )
            for _ in range(processes)
        ]

    def _config_of(
        self, key: str, name: str, entry: Mapping[str, Any], common: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return a function's config: one source wins."""
        if "config_file" in entry:
            return self._config_file(entry["config_file"], key)
        for configs in (common, self.function_config_dict):
            if name in configs:
                return configs[name] or {}
        return {}

    def _config_file(self, name: str, key: str) -> Mapping[str, Any]:
        """Read a config file, and put a copy beside the output."""
        import yaml

        path = Path(name)
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise SetupError(f"{key}: config_file {path.absolute()} cannot be read ({error})") from error
        Path(self.out_dir).mkdir(parents=True, exist_ok=True)
        copy = Path(self.out_dir) / path.name
        if copy.absolute() != path.absolute():
            shutil.copyfile(path, copy)
        if not isinstance(content, Mapping):
            raise SetupError(f"{key}: config_file {path.absolute()} holds no mapping of keys to values")
        return content

    def _end_of_pause(self) -> None:
        self.cumulative_pause_time += time.time() - self.pause_time

    def _downstream(self) -> list[str]:
        """Return the names of the buffers in the order of the data flow."""
        before: dict[str, set[str]] = {name: set() for name in self.ringbuffers}
        for _, _, assigned in self.parallel_functions.values():
            read = {name for name, use in assigned.items() if use == "read"}
            for name in (name for name, use in assigned.items() if use == "write"):
                before[name] |= read
        try:
            return list(graphlib.TopologicalSorter(before).static_order())
        except graphlib.CycleError:
            return list(self.ringbuffers)


def run_function(
    file: str,
    name: str,
    sources: list[dict[str, Any]] | None,
    sinks: list[dict[str, Any]] | None,
    observes: list[dict[str, Any]] | None,
    config: dict[str, Any],
    assigned: dict[str, str],
) -> None:
    """Run a function of a user's file: the work of a process.

    Parameters
    ----------
    file, name
        The file, and the function in it.
    sources, sinks, observes, config
        Its first arguments.
    assigned
        Its keyword arguments: buffer -> what is done with it.
    """
    from mimocorb_dist.workers.user import load

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key press goes to all processes, but the script decides
    function = getattr(load(Path(file), Path.cwd()), name, None)
    if not callable(function):
        raise SetupError(f"{file} has no function {name}; correct fkt_name")
    function(sources, sinks, observes, config, **assigned)


def _entry(item: Any, name: str, section: str) -> Mapping[str, Any]:
    entry = item.get(name) if isinstance(item, Mapping) else None
    if not isinstance(entry, Mapping):
        raise SetupError(f"{section}: where {name} is due there is {item!r}; items are numbered from 1 on")
    return entry


def _value(entry: Mapping[str, Any], key: str, name: str) -> Any:
    if key not in entry:
        raise SetupError(f"{name} has no {key}; it has {', '.join(map(str, entry)) or 'nothing'}")
    return entry[key]


def _dtype(data_type: Any, name: str) -> Any:
    """Return a record type as users of mimoCoRB 1 know it: a list of tuples, or a plain dtype."""
    try:
        if isinstance(data_type, str):
            return np.dtype(data_type)
        return [(str(field), np.dtype(kind)) for field, kind in data_type.values()]
    except (TypeError, ValueError, AttributeError) as error:
        raise SetupError(
            f"{name}: data_type {data_type!r} is neither a type ('float32') nor fields "
            f"({{1: ['name', 'float32'], ...}}): {error}"
        ) from error
