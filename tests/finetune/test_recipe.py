"""Recipes: found by name or path, strict about their fields."""

from pathlib import Path

import pytest

from finetune.recipe import (
    ALSO_CALLED,
    Recipe,
    load_recipe,
    parse_recipe,
    parse_settings,
    shipped_recipes,
)
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import tasks_named


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_name_shipped_tasks(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.title
    for name_of_task in recipe.tasks:
        assert any(task.answers for task in tasks_named(name_of_task))


def test_the_large_recipes_follow_the_published_hyper_parameters() -> None:
    lora, full = (load_recipe(f"qwen3-omni-30b-a3b-{method}") for method in ("lora", "full"))
    assert (lora.lora_rank, lora.lora_alpha, lora.learning_rate, lora.epochs) == (8, 32, 1e-5, 1)
    assert (full.learning_rate, full.epochs) == (1e-5, 2)
    assert lora.effective_batch == full.effective_batch == 64
    assert lora.max_length == full.max_length == 32768
    assert (lora.gpus, full.gpus) == (2, 8)
    assert full.frozen == ("vision", "audio", "projectors")


def test_short_names_stand_for_shipped_recipes() -> None:
    for short, name in ALSO_CALLED.items():
        assert load_recipe(short) == load_recipe(name)


def test_a_recipe_file_is_read_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("max_steps: 3\nsampling: {fps: 1.0, max_pixels: 2048}\n")
    recipe = load_recipe(str(path), {"seed": 7})
    assert (recipe.max_steps, recipe.seed) == (3, 7)
    assert recipe.sampling == Sampling(1.0, 2048)


def test_choosing_steps_unsets_epochs_and_back() -> None:
    assert load_recipe("qwen3-omni-30b-a3b-lora", {"max_steps": 5}).epochs is None
    assert load_recipe("miniature-lora", {"epochs": 2}).max_steps is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_steps: 1\nlerning_rate: 1", "lerning_rate"),
        ("max_steps: many", "max_steps"),
        ("max_steps: 1\nepochs: 1", "exactly one"),
        ("method: lora", "exactly one"),
        ("max_steps: 1\nuse_cpu: true\ndtype: bfloat16", "float32"),
        ("max_steps: 1\nuse_cpu: true\ndtype: float32\ndeepspeed: zero2", "use_cpu"),
        ("max_steps: 1\nmethod: full\nfrozen: [vision, audio, projectors, llm]", "nothing"),
        ("max_steps: 1\nlora_targets: [experts]", "lora_targets"),
        ("- max_steps", "mapping"),
        ("max_steps: [1", "not YAML"),
    ],
)
def test_bad_recipes_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_recipe(text, "mine.yaml")
    assert caught.value.code == "bad_recipe"
    assert "mine.yaml" in caught.value.sentence
    assert says in caught.value.sentence
    assert "\n" not in caught.value.sentence


@pytest.mark.parametrize("name", ["minature", "nowhere.yaml", "../miniature-lora"])
def test_unknown_recipes_are_named_beside_the_known(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(name)
    assert caught.value.code == "unknown_recipe"
    assert "miniature-lora" in caught.value.sentence


def test_settings_are_yaml_values() -> None:
    settings = ("max_steps=20", "learning_rate=1e-3", "sampling={fps: 2.0, max_pixels: 4096}")
    changes = parse_settings((*settings, "title=a = b", "deepspeed=null"))
    assert changes == {
        "max_steps": 20,
        "learning_rate": 1e-3,
        "sampling": {"fps": 2.0, "max_pixels": 4096},
        "title": "a = b",
        "deepspeed": None,
    }


@pytest.mark.parametrize("setting", ["max_steps", "=3", "title=[1"])
def test_bad_settings_are_refused(setting: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_settings((setting,))
    assert caught.value.code == "bad_setting"


def test_every_field_is_described() -> None:
    assert all(field.description for field in Recipe.model_fields.values())
