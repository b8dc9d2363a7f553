"""Starts a command in several processes, through accelerate's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from ..utils import interruption


CONFIGS = Path(__file__).parent / "accelerate_configs"
EXPECTED_PROCESSES = "HF_MIDROPOUT_EXPECTED_PROCESSES"
TORCHRUN_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]
"""Those that torchrun sets handlers for."""


def config_file(name: str) -> Path:
    """
    The YAML file that `name` means: a file, or one of the package's.

    Raises:
        `ValueError`: if there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    named = {file.stem: file for file in sorted(CONFIGS.glob("*.yaml"))}
    if name not in named:
        raise ValueError(f"--accelerate_config {name!r}: must be a YAML file or one of {', '.join(named)}.")
    return named[name]


def launch(
    command: Sequence[str], config: str, settings: Sequence[str] = (), launch_command: Callable | None = None
) -> None:
    """
    Runs `python -m hf_midropout` with the arguments `command` under `accelerate launch`.

    Args:
        command (`Sequence[str]`): The command and its options, without those of the launcher.
        config (`str`): A YAML file of accelerate or the name of one of the package's.
        settings (`Sequence[str]`, *optional*): Options of `accelerate launch`, as name=value, over the file's.
        launch_command (`Callable`, *optional*): What is given the parsed options; accelerate's by default.

    Raises:
        `ValueError`: for a file that accelerate does not take, a malformed setting, or a way of distributing the
            model that is not supported.
        `ChildProcessError`: if a process failed; it has said why.
    """
    from accelerate.commands import launch as accelerate_launch
    from accelerate.commands.config.config_args import load_config_from_file
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    file = config_file(config)
    options = ["--config_file", str(file)]
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--accelerate {setting}: must be name=value, such as num_processes=4.")
        given[name] = value
        options += [f"--{name}", value]
    try:
        loaded = load_config_from_file(str(file))
        parsed = accelerate_launch.launch_command_parser().parse_args([*options, "--module", "hf_midropout", *command])
    except SystemExit as error:
        raise ValueError(f"--accelerate {' '.join(settings)}: accelerate launch takes no such options.") from error
    check_distribution(loaded, given)
    processes = given.get("num_processes", str(loaded.num_processes))
    environment = {EXPECTED_PROCESSES: processes}
    if loaded.use_cpu:
        environment["ACCELERATE_USE_CPU"] = "true"
    os.environ.update(environment)
    # They report with a table what the failed process has said in a line.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    handlers = {each: signal.getsignal(each) for each in TORCHRUN_SIGNALS}
    try:
        (launch_command or accelerate_launch.launch_command)(parsed)
    except SignalException as error:  # torchrun has a handler of its own, and has told the processes
        interruption.note(error.sigval.value)
        raise KeyboardInterrupt from None
    except (ChildFailedError, CalledProcessError):
        if interruption.received():
            raise KeyboardInterrupt from None
        raise ChildProcessError(f"One of {processes} process(es) failed; its message is above.") from None
    finally:
        stop_children()
        for each, handler in handlers.items():  # torchrun leaves its own
            if handler is not None and threading.current_thread() is threading.main_thread():
                signal.signal(each, handler)


def stop_children(seconds: float = 30.0) -> None:
    """Asks the processes that are still there to stop, as Ctrl-C does, and waits for them."""
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(children, timeout=seconds)
    for child in alive:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def check_distribution(config, given: dict[str, str]) -> None:
    """
    Args:
        config (`accelerate.commands.config.config_args.ClusterConfig`): A file's.
        given (`dict[str, str]`): Options that go before it.

    Raises:
        `ValueError`: if it distributes the model in a way that is not supported, or DeepSpeed is not installed.
    """
    from accelerate.utils import is_deepspeed_available

    from ..groups.sharding import PLAIN, check_deepspeed, check_fsdp

    def setting(section: dict, name: str, default) -> Any:
        return given.get(name, section.get(name, default))

    if config.distributed_type == "FSDP":
        efficient = setting(config.fsdp_config, "fsdp_cpu_ram_efficient_loading", True)  # as accelerate has it
        check_fsdp(int(setting(config.fsdp_config, "fsdp_version", 1)), str(efficient).lower() != "false")
    elif config.distributed_type == "DEEPSPEED":
        if "deepspeed_config_file" not in {**config.deepspeed_config, **given}:  # else seen when training begins
            check_deepspeed(int(setting(config.deepspeed_config, "zero_stage", 2)), config.mixed_precision == "fp16")
        if not is_deepspeed_available():
            raise ValueError("DeepSpeed is not installed: pip install deepspeed.")
    elif config.distributed_type == "MEGATRON_LM" or config.parallelism_config:
        raise ValueError(f"{config.distributed_type} with model parallelism is not supported. {PLAIN}")


def check_processes(world_size: int) -> None:
    """
    Raises:
        `ValueError`: in a process that was launched as one of another number than there are. accelerate runs a single
            one where it finds no way to start several.
    """
    expected = os.environ.get(EXPECTED_PROCESSES)
    if expected is not None and int(expected) != world_size:
        raise ValueError(
            f"{expected} process(es) were asked for, but {world_size} started: check num_processes, distributed_type "
            "and the number of GPUs."
        )
