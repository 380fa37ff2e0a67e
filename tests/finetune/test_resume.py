"""A training that was killed goes on from the newest whole checkpoint, or says why not."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from killed_training import undisturbed_and_killed, wait_until

from finetune.command import TrainingCommand
from finetune.progress import Progress
from finetune.resuming.alone import alone
from finetune.resuming.seals import SEAL, best_checkpoint, is_whole, newest_whole, seal
from finetune.resuming.start import Start, find_start, note_running
from finetune.training import Trained, train
from mllm_affect.data.made.folders import make_folders
from mllm_affect.errors import EngineError, UserError

IDENTITY = {"arguments": ["sft"]}


def make_checkpoint(work: Path, step: int, steps: int = 6) -> Path:
    folder = work / f"checkpoint-{step}"
    (folder / "parts").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(bytes([step]) * 1000)
    (folder / "parts/optimizer.pt").write_bytes(b"moments")
    state = {"global_step": step, "max_steps": steps}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    seal(folder)
    return folder


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


HURTS: dict[str, Callable[[Path], object]] = {
    "a shorter file": lambda folder: shorten(folder / "adapter_model.safetensors"),
    "one bit": lambda folder: flip(folder / "adapter_model.safetensors"),
    "a missing file": lambda folder: (folder / "parts/optimizer.pt").unlink(),
    "no seal": lambda folder: (folder / SEAL).unlink(),
    "half a seal": lambda folder: shorten(folder / SEAL),
}


@pytest.mark.parametrize("kind", HURTS)
def test_a_torn_checkpoint_is_noticed_and_the_last_good_one_used(kind: str, tmp_path: Path) -> None:
    find_start(tmp_path, IDENTITY)
    good, torn = make_checkpoint(tmp_path, 2), make_checkpoint(tmp_path, 4)
    assert find_start(tmp_path, IDENTITY) == Start(torn)
    HURTS[kind](torn)
    assert not is_whole(torn)
    assert find_start(tmp_path, IDENTITY) == Start(good)
    assert not torn.exists()


def test_without_a_whole_checkpoint_it_begins_again(tmp_path: Path) -> None:
    find_start(tmp_path, IDENTITY)
    HURTS["no seal"](make_checkpoint(tmp_path, 2))
    assert newest_whole(tmp_path) is None
    make_checkpoint(tmp_path, 2)
    shorten(tmp_path / "checkpoint-2/trainer_state.json")
    assert find_start(tmp_path, IDENTITY) == Start()
    assert [path.name for path in tmp_path.iterdir()] == ["begun.json"]


def test_a_training_at_its_end_has_nothing_to_do(tmp_path: Path) -> None:
    find_start(tmp_path, IDENTITY)
    last = make_checkpoint(tmp_path, 6)
    assert find_start(tmp_path, IDENTITY) == Start(last, finished=True)


def test_checkpoints_of_another_training_are_refused_and_kept(tmp_path: Path) -> None:
    find_start(tmp_path, IDENTITY)
    make_checkpoint(tmp_path, 2)
    with pytest.raises(UserError) as caught:
        find_start(tmp_path, {"arguments": ["sft", "--seed", "1"]})
    assert caught.value.code == "out_exists"
    assert is_whole(tmp_path / "checkpoint-2")


def test_steps_behind_the_checkpoint_are_taken_out_of_the_log(tmp_path: Path) -> None:
    find_start(tmp_path, IDENTITY)
    make_checkpoint(tmp_path, 2)
    steps = [json.dumps({"loss": 1.0, "global_step/max_steps": f"{n}/6"}) for n in (1, 2, 3)]
    (tmp_path / "logging.jsonl").write_text("\n".join([*steps, '{"loss": 0.']))
    find_start(tmp_path, IDENTITY)
    assert (tmp_path / "logging.jsonl").read_text().splitlines() == steps[:2]


def test_the_best_checkpoint_is_the_one_that_the_trainer_names(tmp_path: Path) -> None:
    best, last = make_checkpoint(tmp_path, 2), make_checkpoint(tmp_path, 4)
    assert best_checkpoint(last) == last
    state = {"global_step": 4, "max_steps": 4, "best_model_checkpoint": "/elsewhere/checkpoint-2"}
    (last / "trainer_state.json").write_text(json.dumps(state))
    assert best_checkpoint(last) == best
    flip(best / "adapter_model.safetensors")
    with pytest.raises(EngineError, match="damaged"):
        best_checkpoint(last)


def test_only_one_training_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path / "out"):
        with pytest.raises(UserError) as caught, alone(tmp_path / "out"):
            pass
        assert caught.value.code == "out_busy"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingCommand:
    monkeypatch.setattr("finetune.command.SWIFT_MODULE", "stand_in_swift")
    places = (Path(__file__).parent, Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, places)))
    (tmp_path / "rows.jsonl").write_text("{}\n{}\n")
    words = ("sft", "--tuner_type", "lora", "--output_dir", str(tmp_path / "training"))
    return TrainingCommand(words, {}, tmp_path)


def stand_in(command: TrainingCommand, told: list[Progress]) -> Trained:
    work = command.folder / "training"
    return train(command, work, command.folder / "log", 2, IDENTITY, told.append)


def test_the_same_call_after_a_kill_goes_on(
    command: TrainingCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "is killed")
    with pytest.raises(EngineError, match="status -9"):
        stand_in(command, [])
    monkeypatch.setenv("STAND_IN", "goes on")
    told: list[Progress] = []
    done = stand_in(command, told)
    saved, steps = done.checkpoint, done.steps
    assert (saved / "adapter_model.safetensors").read_text() == "1234"
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert stand_in(command, told).checkpoint == saved, "at its end nothing is run"


def test_a_trainer_that_outlived_its_parent_is_ended(
    command: TrainingCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "is orphaned")
    work = command.folder / "training"
    find_start(work, IDENTITY)
    orphan = subprocess.Popen(
        command.argv, cwd=command.folder, env=os.environ.copy(), stdout=subprocess.DEVNULL
    )
    try:
        note_running(work, orphan.pid)
        wait_until(lambda: is_whole(work / "checkpoint-2"), 30)
        monkeypatch.setenv("STAND_IN", "goes on")
        saved = stand_in(command, []).checkpoint
        assert not psutil.pid_exists(orphan.pid)
        assert (saved / "adapter_model.safetensors").read_text() == "1234"
    finally:
        orphan.kill()
        orphan.wait()


STEPS = 20


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_folders(folder, {"train": 12, "test": 4}, seed=5)
    return folder


@pytest.mark.rebuild
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("points", [4, pytest.param(10, marks=pytest.mark.trial)])
def test_killed_at_random_points_it_gives_the_same_weights_to_the_bit(
    method: str, points: int, clips: Path, untrained: Path, tmp_path: Path
) -> None:
    words = ["--config", f"miniature-{method}", "--data", str(clips), "--model", str(untrained)]
    for setting in ("save_steps=2", "batch_size=2", "lora_dropout=0.1"):
        words += ["--set", setting]
    whole, killed = undisturbed_and_killed(words, STEPS, points, tmp_path, f"resume {method}")
    kept = "adapter/adapter_model.safetensors" if method == "lora" else "model/model.safetensors"
    assert (killed / kept).read_bytes() == (whole / kept).read_bytes()
    losses = [
        [
            json.loads(line)["loss"]
            for line in (out / "steps.jsonl").read_text().splitlines()[:STEPS]
        ]
        for out in (whole, killed)
    ]
    assert losses[0] == losses[1]
    shutil.rmtree(tmp_path)
