from __future__ import annotations

import json
import shlex
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from PIL import Image

from tests.training.test_runs import TINY, start, wait_for
from training.__main__ import main
from training.best import Scorer
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.data import load_dataset
from training.evaluation.classifier import QUICK, Protocol
from training.evaluation.steps import Steps
from training.sweep.results import write_results
from training.sweep.searched import Value, option_arguments, parse_searched, with_values
from training.sweep.study import Plan, Sweep

SEARCH = ["--search", "generator_lr=1e-4..1e-2:log", "--search", "loss=hinge,nonsaturating"]
# TINY without the options that a sweep sets itself
NETWORKS = TINY[:8]


def sweep(*arguments: object) -> int:
    return main(["sweep", *(str(argument) for argument in arguments)])


def test_a_range_a_list_and_whole_numbers_are_read() -> None:
    rate = parse_searched("generator_lr=1e-4..1e-3:log")
    assert (rate.low, rate.high, rate.is_log, rate.is_whole) == (1e-4, 1e-3, True, False)
    assert parse_searched("generator-lr=0..1").option == "generator_lr"
    assert parse_searched("batch=32..128").is_whole
    assert parse_searched("loss=hinge, nonsaturating").values == ("hinge", "nonsaturating")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr_generator=1..2", "did you mean generator_lr?"),
        ("generator_rl=1..2", "did you mean generator_lr?"),
        ("objective=a,b", "is not an option of training"),
        ("total_kimg=1..2", "a sweep sets it itself"),
        ("loss", "give values"),
        ("loss=hinge", "two or more"),
        ("loss=hinge,hinge", "two or more"),
        ("beta1=0.9..0.1", "a range goes up"),
        ("beta1=0..0.9:log", "from above 0"),
        ("beta1=0..0.9:linear", ":linear is unknown"),
        ("beta1=low..high", "a range is two numbers"),
        ("batch=2.5..8", "whole number"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_searched(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["image_size=12,32", "fit=pad,resize", "channels=1,3", "data_name=a,b", "data-licence=a,b", "data=a,b"],
)
def test_an_option_that_shapes_the_data_cannot_be_searched(text: str) -> None:
    with pytest.raises(ConfigError, match=r"all trials have the same data, .*; give it as an option instead"):
        parse_searched(text)


def test_a_refused_combination_is_told_with_its_own_reason(
    npz: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError) as whole:
        TrainConfig(weight_clip=0.1)
    with pytest.raises(ConfigError) as searched:
        with_values(TrainConfig(), {"weight_clip": 0.1})
    assert str(searched.value) == str(whole.value)
    searched_too = (parse_searched("spectral_norm=true,false"), parse_searched("weight_clip=None,0.1"))
    one = Sweep(tmp_path / "sweep", Plan(TrainConfig(data=str(npz)), searched_too, 0.16))
    one.study.enqueue_trial({"spectral_norm": "true", "weight_clip": "0.1"})
    dataset = load_dataset(one.plan.config)
    judged = Scorer(dataset, None, tmp_path / "judges", Steps(), Protocol(epochs=1, fewest_steps=1))
    assert one.run_trial(dataset, judged, lambda share: None)
    write_results(one.folder, one.finished, "")
    (trial,) = json.loads((one.folder / "results.json").read_text())["trials"]
    assert trial["ended_early"] == str(whole.value)
    assert capfd.readouterr() == ("", "")


def test_values_become_options_as_they_are_typed() -> None:
    values: dict[str, Value] = {"generator_lr": 0.00031, "spectral_norm": "false", "loss": "nonsaturating"}
    assert option_arguments(values) == [
        "--generator-lr", "0.00031", "--no-spectral-norm", "--loss", "nonsaturating",
    ]  # fmt: skip
    config = with_values(TrainConfig(), values)
    assert (config.generator_lr, config.spectral_norm, config.loss) == (0.00031, False, "nonsaturating")


@pytest.mark.parametrize("search", ["loss=hinge,magic", "spectral_norm=true,perhaps", "generator_lr=0.1..7"])
def test_values_that_an_option_does_not_take_are_refused_before_a_trial(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], search: str
) -> None:
    assert sweep("--data", npz, "--search", search, "--out", tmp_path / "sweep") == 2
    assert search.partition("=")[0].replace("_", "-") in capsys.readouterr().err.replace("_", "-")
    assert not (tmp_path / "sweep").exists()


def test_a_sweep_ranks_its_trials_and_goes_on_where_it_was(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    command = ["--data", npz, *NETWORKS, *SEARCH, "--trial-kimg", 0.16, "--out", out]
    assert sweep(*command, "--trials", 2) == 0
    assert sweep(*command, "--trials", 4) == 0
    shown = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert [trial["number"] for trial in results["trials"]] != []
    assert sorted(trial["number"] for trial in results["trials"]) == [0, 1, 2, 3]
    scores = [trial["frechet_distance"] for trial in results["trials"]]
    assert scores == sorted(scores)
    best = results["trials"][0]
    assert best["frechet_distance"] == min(best["scores"])
    assert len({trial["options"]["generator_lr"] for trial in results["trials"]}) == 4
    assert results["best_command"] in shown.replace("\n", "")
    arguments = shlex.split(results["best_command"])
    assert arguments[:3] == ["python", "-m", "training"]
    assert arguments[-4:] == [
        "--generator-lr",
        best["options"]["generator_lr"],
        "--loss",
        best["options"]["loss"],
    ]
    trained = Checkpoint.load(out / "trials" / f"{best['number']:03d}" / "best.pt").config
    assert trained.generator_lr == float(best["options"]["generator_lr"])
    with Image.open(out / "results.png") as plot:
        assert plot.width > 1000
    other = ["--data", npz, *NETWORKS, "--search", "batch=8..16", "--out", out]
    assert sweep(*other) == 2
    assert "holds a sweep with other" in capsys.readouterr().err


def plan(npz: Path, search: str) -> Plan:
    config = with_values(
        TrainConfig(data=str(npz)), {"generator_width": 2, "discriminator_width": 2, "batch": 16}
    )
    return Plan(config, (parse_searched(search),), 0.16)


def scorer(npz: Path, folder: Path) -> Scorer:
    return Scorer(load_dataset(TrainConfig(data=str(npz))), None, folder, Steps(), QUICK)


def test_a_trial_that_was_killed_is_made_again_with_the_same_options(npz: Path, tmp_path: Path) -> None:
    command = ["sweep", "--data", npz, *NETWORKS, *SEARCH, "--trial-kimg", 1e4, "--out", tmp_path / "sweep"]
    process = start(*command)
    wait_for(tmp_path / "sweep" / "trials" / "000" / "config.json", process)
    process.kill()
    process.communicate()
    killed = json.loads((tmp_path / "sweep" / "trials" / "000" / "config.json").read_text())
    begun = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    config = TrainConfig.from_json(begun["config"])
    again = Sweep(tmp_path / "sweep", Plan(config, tuple(map(parse_searched, SEARCH[1::2])), 1e4))
    assert [trial.state for trial in again.study.trials] == [TrialState.FAIL, TrialState.WAITING]
    trial = again.study.ask()
    values = {one.option: one.suggest(trial) for one in again.plan.searched}
    assert values == {"generator_lr": killed["generator_lr"], "loss": killed["loss"]}


def test_a_trial_whose_weights_are_no_numbers_is_ended_and_told(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
    monkeypatch.setattr("training.trainer.Trainer.finite", False)
    dataset = load_dataset(sweep.plan.config)
    assert sweep.run_trial(dataset, scorer(npz, tmp_path / "judges"), lambda share: None)
    (trial,) = sweep.finished
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["why"] == "diverged"


def test_a_trial_behind_the_median_is_ended_early(npz: Path, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
    for _ in range(5):  # five that could not have been better
        other = sweep.study.ask()
        other.suggest_float("beta1", 0.1, 0.9)
        for step in range(1, 6):
            other.report(0.0, step)
        sweep.study.tell(other, 0.0)
    dataset = load_dataset(sweep.plan.config)
    assert sweep.run_trial(dataset, scorer(npz, tmp_path / "judges"), lambda share: None)
    trial = sweep.finished[-1]
    assert trial.state == TrialState.PRUNED
    assert "behind the median" in trial.user_attrs["why"]
    assert len(trial.intermediate_values) < 5
    optuna.logging.set_verbosity(optuna.logging.INFO)


def test_a_sweep_goes_on_after_a_line_of_its_study_that_was_cut_off(npz: Path, tmp_path: Path) -> None:
    begun = Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
    for _ in range(2):
        begun.study.tell(begun.study.ask(), 1.0)
    log = tmp_path / "sweep" / "study.log"
    log.write_bytes(log.read_bytes()[:-5])
    for _ in range(2):
        again = Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
        assert len(again.finished) == 1
    again.study.tell(again.study.ask(), 2.0)
    assert len(Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9")).finished) == 2


@pytest.mark.parametrize(("file", "content"), [
    ("sweep.json", ""), ("sweep.json", "[1]"), ("sweep.json", '{"trial'), ("study.log", "x\ny\nz\n"),
])  # fmt: skip
def test_a_damaged_sweep_is_refused_by_name(npz: Path, tmp_path: Path, file: str, content: str) -> None:
    Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
    (tmp_path / "sweep" / file).write_text(content)
    with pytest.raises(ConfigError, match=f"{file} is damaged.*give another --out"):
        Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))


def test_a_folder_with_something_else_is_left_alone(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is no sweep"):
        Sweep(tmp_path / "sweep", plan(npz, "beta1=0.1..0.9"))
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["notes.txt"]
