"""Base checkpoints: what is read from them, what is refused, how sampling is chosen."""

import json
from pathlib import Path

import pytest
from large_base import CONFIG, write_large_base

from finetune.base import choose_sampling, read_base
from finetune.recipe import load_recipe
from mllm_affect.errors import UserError
from mllm_affect.media.sampling.policy import FixedCount
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile, write_profile
from mllm_affect.tasks.prompts import load_task


def test_facts_come_from_the_configuration(tmp_path: Path) -> None:
    base = read_base(str(write_large_base(tmp_path)))
    assert (base.layers, base.positions_per_second) == (48, 13)
    assert base.profile == ModelProfile()


def test_no_checkpoint_at_all_is_said_so() -> None:
    with pytest.raises(UserError) as caught:
        read_base(None)
    assert caught.value.code == "no_model"


def make_bad(folder: Path, kind: str) -> None:
    if kind == "empty folder":
        return
    write_large_base(folder)
    config = folder / "config.json"
    if kind == "other architecture":
        write_large_base(folder, architectures=["LlamaForCausalLM"])
    if kind == "no layers":
        write_large_base(folder, thinker_config={"position_id_per_seconds": 13})
    if kind == "not JSON":
        config.write_text("{")
    if kind == "not an object":
        config.write_text("[]")
    if kind == "no weights":
        next(folder.glob("*.safetensors")).unlink()
    if kind == "own code":
        config.write_text(json.dumps(CONFIG | {"auto_map": {"AutoConfig": "evil.Config"}}))
    if kind == "own code in the processor":
        (folder / "processor_config.json").write_text('{"auto_map": {}}')


@pytest.mark.parametrize(
    "kind",
    [
        "empty folder",
        "other architecture",
        "no layers",
        "not JSON",
        "not an object",
        "no weights",
        "own code",
        "own code in the processor",
    ],
)
def test_unusable_checkpoints_are_refused(kind: str, tmp_path: Path) -> None:
    make_bad(tmp_path, kind)
    with pytest.raises(UserError) as caught:
        read_base(str(tmp_path))
    assert caught.value.code == "bad_checkpoint"
    assert str(tmp_path) in caught.value.sentence


def test_sampling_is_the_recipe_s_else_the_checkpoint_s_else_the_task_s(tmp_path: Path) -> None:
    folder = write_large_base(tmp_path)
    task = load_task("ah")
    recipe = load_recipe("qwen3-omni-30b-a3b-lora")
    assert choose_sampling(recipe, read_base(str(folder)), (task,)) == task.sampling
    write_profile(folder, ModelProfile(sampling=Sampling(1.0, 2048)))
    base = read_base(str(folder))
    assert choose_sampling(recipe, base, (task,)) == Sampling(1.0, 2048)
    own = recipe.model_copy(update={"sampling": Sampling(13.0, 4096)})
    assert choose_sampling(own, base, (task,)) == Sampling(13.0, 4096)


def test_rate_and_size_are_the_checkpoint_s_but_frames_are_chosen_as_the_task_says(
    tmp_path: Path,
) -> None:
    folder = write_large_base(tmp_path)
    write_profile(folder, ModelProfile(sampling=Sampling(1.0, 2048)))
    base, task = read_base(str(folder)), load_task("me_vqa-coarse")
    recipe = load_recipe("qwen3-omni-30b-a3b-lora")
    assert choose_sampling(recipe, base, (task,)) == Sampling(1.0, 2048, task.sampling.policy)
    taught = base.profile.model_copy(update={"policies": {task.id: FixedCount(4)}})
    write_profile(folder, taught)
    base = read_base(str(folder))
    assert choose_sampling(recipe, base, (task,)) == Sampling(1.0, 2048, FixedCount(4))
    assert base.profile.fit(load_task("ah")).sampling == Sampling(1.0, 2048)


def test_rates_with_fractional_positions_are_refused(tmp_path: Path) -> None:
    base = read_base(str(write_large_base(tmp_path)))
    recipe = load_recipe("qwen3-omni-30b-a3b-lora", {"sampling": {"fps": 4.0, "max_pixels": 1024}})
    with pytest.raises(UserError) as caught:
        choose_sampling(recipe, base, (load_task("ah"),))
    assert caught.value.code == "bad_sampling"


def test_tasks_with_different_sampling_need_a_decision(tmp_path: Path) -> None:
    base = read_base(str(write_large_base(tmp_path)))
    tasks = (load_task("ah"), load_task("ah_demo"))
    with pytest.raises(UserError) as caught:
        choose_sampling(load_recipe("qwen3-omni-30b-a3b-lora"), base, tasks)
    assert caught.value.code == "bad_sampling"


def test_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    base = read_base(str(write_large_base(tmp_path)))
    before = base.fingerprint()
    base.weight_files[0].write_bytes(b"other")
    assert base.fingerprint() != before
