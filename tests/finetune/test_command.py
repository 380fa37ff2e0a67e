"""The commands for ms-swift: pinned for the large model, which cannot be run here."""

from pathlib import Path

import pytest
from large_base import write_large_base

from finetune.base import choose_sampling, read_base
from finetune.command import TrainingCommand, media_variables, training_command
from finetune.recipe import load_recipe
from mllm_affect.media.sampling.policy import MotionPeak
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import load_task

GOLDEN = Path(__file__).with_name("golden")
PACKAGE = Path(__file__).resolve().parents[2] / "finetune"
SMALL = Sampling(fps=2.0, max_pixels=4096)


def command_for(name: str, folder: Path, **changes: object) -> TrainingCommand:
    recipe = load_recipe(name, {"model": str(write_large_base(folder / "base")), **changes})
    base = read_base(recipe.model)
    tasks = tuple(load_task(task) for task in recipe.tasks)
    sampling = choose_sampling(recipe, base, tasks)
    return training_command(recipe, base, sampling, folder / "rows", folder / "training")


def written_out(command: TrainingCommand, folder: Path) -> str:
    """A variable or an option a line, with paths and the long module list shortened."""
    modules = [word for word in command.arguments if ".self_attn." in word]
    words = [word for word in command.arguments if word not in modules[1:]]
    if modules:
        words[words.index(modules[0])] = f"[{len(modules)}: {modules[0]} ... {modules[-1]}]"
    lines = [f"{name}={value}" for name, value in command.variables.items()]
    text = "\n".join(lines) + "\nswift " + " ".join(words).replace(" --", "\n  --") + "\n"
    return text.replace(str(folder), "FOLDER").replace(str(PACKAGE), "PACKAGE")


@pytest.mark.parametrize("method", ["lora", "full"])
def test_commands_for_the_large_model(method: str, tmp_path: Path) -> None:
    name = f"qwen3-omni-30b-a3b-{method}"
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert written_out(command_for(name, tmp_path), tmp_path) == expected


def test_every_attention_layer_of_the_language_model_gets_an_adapter(tmp_path: Path) -> None:
    words = command_for("qwen3-omni-30b-a3b-lora", tmp_path).arguments
    modules = [word for word in words if "self_attn" in word]
    assert len(modules) == len(set(modules)) == 48 * 4
    assert all(module.startswith("thinker.model.layers.") for module in modules)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(4.0, 4096), Sampling(2.0, 114_688), Sampling(26.0), Sampling(policy=MotionPeak())],
)
def test_no_frame_within_the_sampling_is_resized(sampling: Sampling) -> None:
    # The rules of qwen_omni_utils' fetch_video for a list of frames, in its own terms.
    given = media_variables(sampling, max_seconds=5.0)
    variables = {
        name: float(value) for name, value in given.items() if "." in value or value.isdigit()
    }
    cell = 16 * variables["SPATIAL_MERGE_SIZE"]
    smallest = variables["VIDEO_MIN_TOKEN_NUM"] * cell**2
    frames = sampling.most_frames(5.0)
    share = variables["MODEL_SEQ_LEN"] * cell**2 * 0.9 / frames * 2
    largest = min(variables["VIDEO_MAX_TOKEN_NUM"] * cell**2, share)
    assert 32 % cell == 0
    assert smallest <= 32 * 32
    assert largest >= sampling.max_pixels
    assert variables["FPS"] == sampling.fps


def test_going_on_loads_what_the_trainer_itself_would_pass_over(tmp_path: Path) -> None:
    saved = tmp_path / "training/checkpoint-2"
    for name, model in (("miniature-lora", tmp_path / "base"), ("miniature-full", saved)):
        words = command_for(name, tmp_path, sampling=SMALL).resumed(saved).arguments
        assert words[words.index("--resume_from_checkpoint") + 1] == str(saved)
        assert words[words.index("--model") + 1] == str(model)


def test_the_shell_cannot_change_what_is_trained_on(tmp_path: Path) -> None:
    command = command_for("miniature-lora", tmp_path, sampling=SMALL)
    shell = {"PATH": "/bin", "VIDEO_MAX_PIXELS": "1", "FPS": "1", "NPROC_PER_NODE": "8"}
    child = command.environment(shell)
    assert child["PATH"] == "/bin"
    assert child["FPS"] == "2.0"
    assert "VIDEO_MAX_PIXELS" not in child
    assert "NPROC_PER_NODE" not in child
    assert child["CUDA_VISIBLE_DEVICES"] == ""


def options(words: tuple[str, ...], name: str) -> list[str]:
    """The values behind an option."""
    if name not in words:
        return []
    start = words.index(name) + 1
    end = next((n for n in range(start, len(words)) if words[n].startswith("--")), len(words))
    return list(words[start:end])


def test_towers_projectors_and_language_model_freeze_apart(tmp_path: Path) -> None:
    def frozen(*parts: str) -> tuple[list[str], list[str]]:
        changes = {"sampling": SMALL, "frozen": parts}
        words = command_for("miniature-full", tmp_path, **changes).arguments
        for switch in ("--freeze_llm", "--freeze_vit"):
            assert options(words, switch) == ["false"]
        assert options(words, "--freeze_aligner") == [str("projectors" in parts).lower()]
        return options(words, "--freeze_parameters"), options(words, "--trainable_parameters")

    inside = ["thinker.visual.merger", "thinker.visual.merger_list"]
    inside += ["thinker.audio_tower.proj1", "thinker.audio_tower.proj2"]
    assert frozen() == ([], inside)
    assert frozen("vision", "llm") == (
        ["thinker.visual", "thinker.model", "thinker.lm_head"],
        inside,
    )
    assert frozen("audio", "projectors") == (["thinker.audio_tower", *inside], [])


def test_processes_on_a_cpu_are_torchrun_s(tmp_path: Path) -> None:
    command = command_for("miniature-lora", tmp_path, sampling=SMALL, gpus=2)
    assert command.variables["NPROC_PER_NODE"] == "2"
    assert command.variables["CUDA_VISIBLE_DEVICES"] == ""


def test_the_shell_form_can_be_pasted(tmp_path: Path) -> None:
    import shlex

    command = command_for("miniature-lora", tmp_path, sampling=SMALL)
    words = shlex.split(command.shell())
    assert words[:3] == ["cd", str(tmp_path / "rows"), "&&"]
    assert words[words.index("swift") + 1 :] == list(command.arguments)
    assert "CUDA_VISIBLE_DEVICES=" in words
