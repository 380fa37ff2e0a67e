"""The finetune verb from labelled videos to a checkpoint, through the real ms-swift."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from finetune.recipe import load_recipe
from finetune.run import _profile, make_plan, run
from mllm_affect.data.made.folders import make_folders
from mllm_affect.errors import EngineError
from mllm_affect.files import read_jsonl
from mllm_affect.media.sampling.policy import Uniform
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.prompts import load_task

STEPS = 4
QUICK = ("--set", f"max_steps={STEPS}", "--set", "batch_size=2", "--set", "warmup_ratio=0")


TRAIN = ("run", "--config", "miniature-lora", "--out", "OUT", "--model", "BASE")


def words_for(*words: object) -> list[str]:
    return [sys.executable, "-m", "mllm_affect", "finetune", *map(str, words)]


def finetune(*words: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    return subprocess.run(
        words_for(*words), capture_output=True, text=True, timeout=300, env=environment
    )


def run_words(
    clips: Path, model: Path, out: Path, recipe: str = "miniature-lora"
) -> tuple[object, ...]:
    return ("run", "--config", recipe, "--data", clips, "--model", model, "--out", out, *QUICK)


def descendants() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_folders(folder, {"train": 8, "test": 4}, seed=5)
    return folder


@pytest.fixture(scope="module")
def finished(
    clips: Path, untrained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Any]]:
    """A LoRA training's folder and the JSON lines it printed."""
    out = tmp_path_factory.mktemp("runs") / "lora"
    done = finetune(*run_words(clips, untrained, out), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return out, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_progress_and_result_are_json_lines(finished: tuple[Path, list[Any]]) -> None:
    out, lines = finished
    progress = [line["progress"] for line in lines[:-1]]
    stages = [item["stage"] for item in progress]
    assert list(dict.fromkeys(stages)) == ["prepare", "check", "start", "train", "merge"]
    steps = [item for item in progress if item["stage"] == "train"]
    assert [item["done"] for item in steps] == list(range(1, STEPS + 1))
    assert all(item["total"] == STEPS and item["loss"] > 0 for item in steps)
    assert lines[-1]["checkpoint"] == str(out / "merged")


@pytest.mark.slow
def test_what_is_left_is_complete_and_nothing_more(finished: tuple[Path, list[Any]]) -> None:
    out, _ = finished
    assert {path.name for path in out.iterdir()} == {
        "adapter",
        "events.jsonl",
        "loss.png",
        "manifest.json",
        "merged",
        "mllm_affect.json",
        "rows",
        "steps.jsonl",
        "tensorboard",
        "train.log",
    }
    adapter = {path.name for path in (out / "adapter").iterdir()}
    own = {"mllm_affect.json", "manifest.json", "README.md"}
    assert adapter == {"adapter_config.json", "adapter_model.safetensors"} | own
    assert "LoRA rank 16" in (out / "merged" / "README.md").read_text()


@pytest.mark.slow
def test_the_manifest_tells_how_to_do_it_again(
    finished: tuple[Path, list[Any]], clips: Path
) -> None:
    out, lines = finished
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest == json.loads((out / "merged" / "manifest.json").read_text())
    assert manifest == lines[-1]["manifest"]
    assert manifest["recipe"]["max_steps"] == manifest["steps"] == STEPS
    assert manifest["rows"]["rows"] == len(read_jsonl(out / "rows" / "rows.jsonl"))
    assert manifest["prompt_hashes"] == {"ah_demo": load_task("ah_demo").prompt_hash}
    assert manifest["merge"]["prompts"] == 64
    assert manifest["merge"]["largest"] <= 1e-4
    assert manifest["versions"].keys() >= {"ms-swift", "torch", "transformers", "peft"}
    assert manifest["command"]["variables"]["FPS"] == "4.0"


@pytest.mark.slow
def test_the_checkpoint_says_how_it_is_fed(finished: tuple[Path, list[Any]]) -> None:
    profile = read_profile(finished[0] / "merged")
    assert profile.kind == "miniature"
    assert profile.sampling == Sampling(fps=4.0, max_pixels=4096)
    assert profile.max_seconds == 5.0
    assert profile.policies == {"ah_demo": Uniform()}
    assert profile.prompt_hashes == {"ah_demo": load_task("ah_demo").prompt_hash}


@pytest.mark.slow
def test_merged_checkpoint_answers_as_base_with_adapter(
    finished: tuple[Path, list[Any]], untrained: Path
) -> None:
    import torch
    from noise_inputs import noise_input
    from peft import PeftModel
    from transformers import Qwen3OmniMoeForConditionalGeneration, Qwen3OmniMoeProcessor

    from mllm_affect.model.encode import encode

    out, _ = finished
    load = Qwen3OmniMoeForConditionalGeneration.from_pretrained
    inputs = encode(Qwen3OmniMoeProcessor.from_pretrained(out / "merged"), noise_input(0))
    adapted = PeftModel.from_pretrained(load(untrained), out / "adapter")
    with torch.no_grad():
        before = load(untrained).thinker(**inputs).logits
        merged = load(out / "merged").thinker(**inputs).logits
        beside = adapted.base_model.model.thinker(**inputs).logits
    torch.testing.assert_close(merged, beside, rtol=0, atol=1e-4)
    assert (merged - before).abs().max() > 1e-3


@pytest.mark.rebuild
def test_the_merge_verb_gives_the_same_checkpoint(
    finished: tuple[Path, list[Any]], untrained: Path, tmp_path: Path
) -> None:
    out, _ = finished
    done = finetune("merge", out / "adapter", "--base", untrained, "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    same = ("model.safetensors", "config.json", "mllm_affect.json")
    for name in same:
        assert (tmp_path / "again" / name).read_bytes() == (out / "merged" / name).read_bytes()


@pytest.mark.rebuild
def test_swift_infer_loads_the_checkpoint_unaided(
    finished: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    from transformers import Qwen3OmniMoeForConditionalGeneration, Qwen3OmniMoeProcessor

    from finetune.command import media_variables

    out, _ = finished
    answers = tmp_path / "answers.jsonl"
    words = ["swift.cli.main", "infer", "--model", str(out / "merged")]
    words += ["--val_dataset", "rows.jsonl", "--result_path", str(answers)]
    words += ["--max_new_tokens", "3", "--temperature", "0", "--stream", "false"]
    variables = media_variables(Sampling(4.0, 4096), 5.0) | {"HF_HUB_OFFLINE": "1", "USE_HF": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=out / "rows",
        env=os.environ | variables | {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    processor = Qwen3OmniMoeProcessor.from_pretrained(out / "merged")
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(out / "merged")
    rows = read_jsonl(out / "rows" / "rows.jsonl")
    said = [answer["response"] for answer in read_jsonl(answers)]
    assert said == [greedy(model, processor, out / "rows", row, 3) for row in rows]


def greedy(model: Any, processor: Any, folder: Path, row: dict[str, Any], tokens: int) -> str:
    """What transformers answers to a row, through the reference encoding."""
    import wave

    import numpy as np
    from noise_inputs import noise_input
    from PIL import Image

    from mllm_affect.model.encode import encode

    with wave.open(str(folder / row["audios"][0])) as sound:
        audio_S = np.frombuffer(sound.readframes(-1), dtype="<i2")
    frames = [np.asarray(Image.open(folder / name)) for name in row["videos"][0]]
    text = row["messages"][0]["content"].removeprefix("<audio><video>")
    blank = noise_input(0, question=text)
    given = type(blank)(**{**vars(blank), "frames_THWC": np.stack(frames), "audio_S": audio_S})
    inputs = encode(processor, given)
    ids = model.thinker.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    answer: str = processor.tokenizer.decode(
        ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return answer


@pytest.mark.rebuild
def test_full_training_changes_the_language_model_only(
    clips: Path, untrained: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import Qwen3OmniMoeForConditionalGeneration

    done = finetune(*run_words(clips, untrained, tmp_path / "full", "miniature-full"))
    assert done.returncode == 0, done.stderr
    before = load_file(untrained / "model.safetensors")
    after = load_file(tmp_path / "full" / "model" / "model.safetensors")
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("experts" in name for name in changed)
    assert {".".join(name.split(".")[:2]) for name in changed} <= {
        "thinker.model",
        "thinker.lm_head",
    }
    assert not (tmp_path / "full" / "adapter").exists()
    Qwen3OmniMoeForConditionalGeneration.from_pretrained(tmp_path / "full" / "model")


@pytest.mark.parametrize(
    ("kind", "says", "left"),
    [
        ("fails", "RuntimeError: no kernel for this device", set()),
        ("drops a row", "says it read 7", set()),
        ("ends early", "ended early", set()),
        ("fails late", "status 3", {"training"}),
    ],
)
def test_a_failing_ms_swift_is_explained_and_leaves_no_result(
    kind: str,
    says: str,
    left: set[str],
    clips: Path,
    untrained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STAND_IN", kind)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("finetune.command.SWIFT_MODULE", "stand_in_swift")
    recipe = load_recipe("miniature-lora", {"data": clips, "model": str(untrained)})
    with pytest.raises(EngineError) as caught:
        run(recipe, tmp_path)
    assert caught.value.code == "training_failed"
    assert says in caught.value.sentence
    assert {path.name for path in tmp_path.iterdir()} == {
        "rows",
        "train.log",
        "events.jsonl",
    } | left


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=pytest.mark.rebuild) for n in (signal.SIGINT, signal.SIGTERM)],
)
def test_stopping_ends_ms_swift_and_leaves_no_checkpoint(
    number: signal.Signals, clips: Path, untrained: Path, tmp_path: Path
) -> None:
    before = {process.pid for process in descendants()}
    words = words_for(*run_words(clips, untrained, tmp_path / "out"))
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_swift(running.pid)
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130, errors
    assert {process.pid for process in descendants()} == before
    assert not {"training", "merged", "adapter"} & {p.name for p in (tmp_path / "out").iterdir()}


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none when it has just ended, as decoding processes do all the time."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_for_swift(pid: int) -> None:
    for _ in range(1200):  # two minutes: it waits for a core like everybody
        family = psutil.Process(pid).children(recursive=True)
        if any("sft.py" in word for process in family for word in words_of(process)):
            return
        time.sleep(0.1)
    pytest.fail("ms-swift never started")


def test_an_earlier_result_is_never_overwritten(
    clips: Path, untrained: Path, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    done = finetune(*run_words(clips, untrained, tmp_path))
    assert done.returncode == 2
    assert "out_exists" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.rebuild
def test_checkpoints_of_an_unfinished_run_are_kept(
    clips: Path, untrained: Path, tmp_path: Path
) -> None:
    (tmp_path / "training" / "checkpoint-5").mkdir(parents=True)
    done = finetune(*run_words(clips, untrained, tmp_path))
    assert done.returncode == 2
    assert (tmp_path / "training" / "checkpoint-5").is_dir()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "--config", "nothing", "--out", "OUT"), "unknown_recipe"),
        (("run", "--config", "absent.yaml", "--out", "OUT"), "unknown_recipe"),
        (("run", "--config", "qwen3-omni-30b-a3b-lora", "--out", "OUT"), "no_model"),
        (("run", "--config", "miniature-lora", "--out", "OUT", "--set", "a"), "bad_setting"),
        (("run", "--config", "miniature-lora", "--out", "OUT", "--set", "a=1"), "bad_recipe"),
        (("run", "--config", "miniature-lora", "--out", "OUT", "--model", "OUT"), "bad_checkpoint"),
        (TRAIN, "no_data"),
        ((*TRAIN, "--data", "OUT"), "no_examples"),
        ((*TRAIN, "--set", "tasks=[dance]"), "unknown_task"),
        (("merge", "OUT", "--base", "BASE", "--out", "OUT"), "bad_adapter"),
        (("merge", "OUT", "--base", "OUT", "--out", "OUT"), "bad_checkpoint"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    words: tuple[str, ...], code: str, untrained: Path, tmp_path: Path
) -> None:
    places = {"OUT": tmp_path / "out", "BASE": untrained}
    done = finetune(*(places.get(word, word) for word in words), "--json")
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == code
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_carries_the_recipes_longest_segment(tmp_path: Path) -> None:
    recipe = load_recipe("miniature-lora", {"max_seconds": 2.0})
    assert _profile(make_plan(recipe, tmp_path / "out")).max_seconds == 2.0


def test_dry_run_prints_the_command_and_writes_nothing(untrained: Path, tmp_path: Path) -> None:
    words = ("run", "--config", "miniature-lora", "--model", untrained, "--out", tmp_path / "out")
    text = finetune(*words, "--dry-run").stdout
    assert text.startswith(f"cd {tmp_path / 'out' / 'rows'} && FPS=4.0 ")
    assert " swift sft --model " in text
    printed = json.loads(finetune(*words, "--dry-run", "--json").stdout)
    assert printed["arguments"][:2] == ["swift", "sft"]
    assert printed["variables"]["ENABLE_AUDIO_OUTPUT"] == "0"
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed() -> None:
    listed = json.loads(finetune("recipes", "--json").stdout)
    assert listed["qwen3-omni-30b-a3b-full"]["deepspeed"] == "zero3"
    assert "miniature-lora" in finetune("recipes").stdout


@pytest.mark.parametrize("verb", ["run", "merge", "card", "recipes"])
def test_help_has_an_example(verb: str) -> None:
    assert f"mllm-affect finetune {verb}" in " ".join(finetune(verb, "--help").stdout.split())
