"""What is searched: named options, each with a range or a list of values.

generator_lr=1e-4..1e-3:log    a range, evenly in its logarithm
batch=32..128                  a range of whole numbers, since the option is one
loss=hinge,nonsaturating       a list of values
augment=,colour+translation    values of an option that takes several; nothing is none of them
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace

import tyro
from optuna.trial import Trial

from training.config import ConfigError, TrainConfig

Value = str | int | float
OF_THE_DATA = ("data", "data_name", "data_licence", "data_attribution", "image_size", "fit", "channels")
NOT_SEARCHED = {
    **dict.fromkeys(("out", "name", "total_kimg", "checkpoint_kimg", "best_kimg"), "a sweep sets it itself"),
    **dict.fromkeys(OF_THE_DATA, "all trials have the same data, which is read once"),
}
DIGITS = 4  # of a number tried, so that it can be read and typed


@dataclass(frozen=True)
class Searched:
    """One option and the values it may take: a list, or from low to high."""

    option: str
    values: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    is_log: bool = False
    is_whole: bool = False

    def suggest(self, trial: Trial) -> Value:
        if self.values:
            return str(trial.suggest_categorical(self.option, self.values))
        if self.is_whole:
            return trial.suggest_int(self.option, int(self.low), int(self.high), log=self.is_log)
        return float(f"{trial.suggest_float(self.option, self.low, self.high, log=self.is_log):.{DIGITS}g}")

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that stand for all of them when options are checked."""
        if self.values:
            return self.values
        return (int(self.low), int(self.high)) if self.is_whole else (self.low, self.high)


def parse_searched(text: str) -> Searched:
    """One --search. Raises ConfigError."""
    name, equals, rest = text.partition("=")
    option = name.strip().removeprefix("--").replace("-", "_")
    _check_known(option)
    if not equals or not rest:
        raise ConfigError(f"--search {text}: give values, as in {option}=1e-4..1e-3:log or {option}=a,b")
    if ".." not in rest:
        values = tuple(value.strip() for value in rest.split(","))
        if len(values) < 2 or len(set(values)) < len(values):
            raise ConfigError(f"--search {text}: a list has two or more different values, as in {option}=a,b")
        return Searched(option, values)
    span, _, scale = rest.partition(":")
    if scale not in ("", "log"):
        raise ConfigError(f"--search {text}: :{scale} is unknown; a range may end with :log")
    try:
        low, high = (float(end) for end in span.split(".."))
    except ValueError as error:
        raise ConfigError(f"--search {text}: a range is two numbers, as in {option}=0.1..0.9") from error
    if not low < high or (scale == "log" and low <= 0):
        raise ConfigError(f"--search {text}: a range goes up, and with :log from above 0")
    kind = typing.get_type_hints(TrainConfig)[option]
    is_whole = kind is int or (int in typing.get_args(kind) and float not in typing.get_args(kind))
    if is_whole and (low != int(low) or high != int(high)):
        raise ConfigError(f"--search {text}: {option} is a whole number")
    return Searched(option, (), low, high, scale == "log", is_whole)


def parse_all(texts: Sequence[str]) -> tuple[Searched, ...]:
    """Every --search. Raises ConfigError."""
    if not texts:
        raise ConfigError(
            "nothing to search: give --search OPTION=VALUES, such as generator_lr=1e-4..1e-3:log"
        )
    searched = tuple(parse_searched(text) for text in texts)
    options = [one.option for one in searched]
    if twice := next((option for option in options if options.count(option) > 1), None):
        raise ConfigError(f"--search {twice} is given twice")
    return searched


def _check_known(option: str) -> None:
    known = [field for field in TrainConfig.__dataclass_fields__ if field not in NOT_SEARCHED]
    if option in NOT_SEARCHED:
        raise ConfigError(f"--search {option}: {NOT_SEARCHED[option]}; give it as an option instead")
    if option not in known:
        # Words in another order are as near as letters that differ.
        words = {"_".join(sorted(field.split("_"))): field for field in known}
        near = difflib.get_close_matches("_".join(sorted(option.split("_"))), words, 1, 0.5)
        meant = f"; did you mean {words[near[0]]}?" if near else ""
        raise ConfigError(
            f"--search {option} is not an option of training{meant} There are {', '.join(known)}"
        )


def option_arguments(values: Mapping[str, Value]) -> list[str]:
    """Options as they are typed on the command line."""
    arguments = []
    for option, value in values.items():
        flag = option.replace("_", "-")
        kind = typing.get_type_hints(TrainConfig)[option]
        if kind is bool:
            if str(value).lower() not in ("true", "false"):
                raise ConfigError(f"--search {option}: true or false, not {value!r}")
            arguments.append(f"--{flag}" if str(value).lower() == "true" else f"--no-{flag}")
        elif typing.get_origin(kind) is tuple:
            arguments += [f"--{flag}", *(item for item in str(value).split("+") if item)]
        else:
            arguments += [f"--{flag}", str(value)]
    return arguments


def with_values(base: TrainConfig, values: Mapping[str, Value]) -> TrainConfig:
    """The options with some of them set. Raises ConfigError for values that they do not take."""
    kinds = typing.get_type_hints(TrainConfig)
    fields = [(option, kinds[option], getattr(base, option)) for option in values]
    try:
        given: object = tyro.cli(
            make_dataclass("Given", fields), args=option_arguments(values), console_outputs=False
        )
    except SystemExit as error:
        told = ", ".join(f"{option}={value}" for option, value in values.items())
        raise ConfigError(
            f"--search {told}: not a value of that option; python -m training --help has them"
        ) from error
    return replace(base, **vars(given))
