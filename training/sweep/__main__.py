"""python -m training sweep: which options are best?"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import tyro
from optuna.trial import TrialState
from rich.console import Console
from rich.text import Text

from generator.spec import SpecError
from generator.terminal import tell_error
from training.best import JUDGES, Scorer
from training.config import ConfigError, TrainConfig
from training.data import DataError, load_dataset, load_test_images, with_data_name
from training.evaluation.classifier import QUICK
from training.evaluation.steps import Steps
from training.execution import use_threads
from training.presets import PRESETS
from training.sweep import searched as syntax
from training.sweep.plot import plot_results
from training.sweep.results import options_of, ranked, results_table, write_results
from training.sweep.searched import parse_all
from training.sweep.study import Plan, Sweep
from training.trainer import check_run

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


def main(arguments: list[str]) -> int:
    options, rest = _parser().parse_known_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        plan = _plan(options, rest)
        use_threads(plan.config)
        dataset = load_dataset(plan.config)
        dataset.spec(plan.config)
        check_run(plan.config, dataset)
        sweep = Sweep(options.out or Path(f"runs/sweep-{options.preset or plan.config.name}"), plan)
        steps = Steps(console)
        test = load_test_images(plan.config)
        scorer = Scorer(dataset, test, sweep.folder.parent / JUDGES, steps, QUICK)
        finished = True
        while finished and len(sweep.finished) < options.trials:
            with steps.step(f"trial {len(sweep.finished) + 1} of {options.trials}") as report:
                finished = sweep.run_trial(dataset, scorer, report, test)
    except KeyboardInterrupt:  # before the first trial: trials end by themselves
        return INTERRUPTED
    except (ConfigError, DataError, SpecError, OSError) as error:
        return tell_error(error)
    _tell(sweep, _command(sweep, options.preset, rest), console)
    if finished:
        return 0
    console.print(Text(f"stopped: python -m training sweep {shlex.join(arguments)} goes on with it"))
    return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training sweep",
        description="Searches options of training by short runs. All options of `python -m training` may be "
        "given besides: they hold for every trial. The same command goes on with a sweep that was stopped.",
        epilog=syntax.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), help="where every trial starts from")
    parser.add_argument(
        "--search", action="append", default=[], metavar="OPTION=VALUES", help="what is searched, repeated"
    )
    parser.add_argument("--trials", type=int, default=20, help="in all (default: %(default)s)")
    parser.add_argument("--trial-kimg", type=float, default=100, help="of each (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="the sweep's folder (default: runs/sweep-PRESET)")
    return parser


def _plan(options: argparse.Namespace, rest: list[str]) -> Plan:
    """Raises ConfigError."""
    if options.trials < 1:
        raise ConfigError(f"--trials {options.trials}: at least 1")
    if not 0.001 <= options.trial_kimg <= 1e9:
        raise ConfigError(f"--trial-kimg {options.trial_kimg:g}: allowed are 0.001 to 1e+09")
    searched = parse_all(options.search)
    base = PRESETS.get(options.preset or "", TrainConfig())
    config = tyro.cli(TrainConfig, default=base, args=rest, prog="python -m training sweep")
    return Plan(with_data_name(config), searched, options.trial_kimg)


def _command(sweep: Sweep, preset: str | None, rest: list[str]) -> str:
    """What trains with the best options for as long as the preset does."""
    best = next(iter(ranked(sweep.finished)), None)
    if best is None or best.state != TrialState.COMPLETE:
        return ""
    start = ["python", "-m", "training", *(["--preset", preset] if preset else []), *rest]
    return shlex.join([*start, *syntax.option_arguments(options_of(best))])


def _tell(sweep: Sweep, command: str, console: Console) -> None:
    trials = sweep.finished
    write_results(sweep.folder, trials, command)
    plot = plot_results(sweep.folder, trials, sweep.plan.searched)
    Console(highlight=False).print(results_table(trials, sweep.plan.searched, sweep.plan.trial_kimg))
    if plot:
        console.print(f"-> {plot}")
    if command:
        console.print("the best options:")
        print(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
