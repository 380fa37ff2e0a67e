"""An example may be a folder of images at a rate: rows, answers and scores as of a video."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from eval.frames import frame_times
from eval.predictions import (
    Prediction,
    PredictionsLog,
    SegmentPrediction,
    write_predictions,
)
from eval.run import predict
from finetune.asking import answered
from finetune.prepare import Preparation, prepare_rows
from mllm_affect.cli.app import app
from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.data.footage import footage
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import UserError
from mllm_affect.files import read_jsonl
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import answer_video
from mllm_affect.tasks.prompts import load_task

TASK = load_task("ah_demo")
PROFILE = ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096))
FPS, IMAGES = 100.0, 600
"""Six seconds: two segments of at most five."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "onset").mkdir()
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        frame_HWC = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(frame_HWC).save(folder / f"onset/{number}.png", compress_level=0)
    listed = Example(
        video="onset", participant="p", split="train", labels={"ah_demo": "yes"}, image_fps=FPS
    )
    write_examples(folder, [listed])
    return folder


def test_rows_of_it_have_its_images(data: Path, tmp_path: Path) -> None:
    manifest = prepare_rows(
        data, Preparation((TASK,), PROFILE.fit(TASK).sampling, "train", 5.0), tmp_path
    )
    assert manifest["segments"] == 2
    first, _ = read_jsonl(tmp_path / "rows.jsonl")
    shown = [np.asarray(Image.open(tmp_path / name)) for name in first["videos"][0]]
    for place, frame_HWC in enumerate(shown[:4]):
        at = data / f"onset/{round(place * FPS / 4)}.png"
        np.testing.assert_array_equal(frame_HWC, np.asarray(Image.open(at)))


def test_evaluation_asks_about_it_and_knows_its_times(data: Path, tmp_path: Path) -> None:
    examples, engine = read_examples(data), EchoEngine()
    ((_, _, during),) = answered(data, examples, [TASK], engine, PROFILE, None, trusted=True)
    log = PredictionsLog(tmp_path, {})

    def ask(video, _context):  # type: ignore[no-untyped-def]
        return answer_video(video, TASK, engine, PROFILE).as_dict()

    (after,) = predict(examples, data, TASK, "ah_demo", ask, log)
    assert during is not None
    assert after.answer == during.answer
    assert [part.end_s for part in after.segments] == [part.end_s for part in during.segments]
    np.testing.assert_allclose(frame_times(footage(data, examples[0])), np.arange(IMAGES) / FPS)


def test_frame_rows_of_it_follow_its_rate(data: Path, tmp_path: Path) -> None:
    segments = tuple(
        SegmentPrediction(
            place, 3.0 * place, 3.0 * place + 3.0, answer, {"yes": share, "no": 1.0 - share}
        )
        for place, (answer, share) in enumerate((("yes", 0.9), ("no", 0.1)))
    )
    said = Prediction(
        video="onset", participant="p", split="train", task="ah_demo", label="yes", answer="yes",
        classes=("yes", "no"), positive="yes", probabilities={"yes": 0.9, "no": 0.1},
        threshold=0.5, segments=segments,
    )  # fmt: skip
    write_predictions(tmp_path / "p.jsonl", [said])
    (tmp_path / "order.txt").write_text("".join(f"onset/frame-{n}.jpg,0\n" for n in (299, 300)))
    words = f"--predictions {tmp_path}/p.jsonl --order {tmp_path}/order.txt --data {data}"
    done = CliRunner().invoke(app, f"export abaw-ah-frames {words} --out {tmp_path}/f".split())
    assert done.exit_code == 0, done.output
    assert (tmp_path / "f").read_text() == "onset/frame-299.jpg,1\nonset/frame-300.jpg,0\n"


def test_without_a_rate_it_is_no_video(data: Path, tmp_path: Path) -> None:
    (listed,) = read_examples(data)
    (tmp_path / "onset").symlink_to(data / "onset")
    write_examples(tmp_path, [listed.model_copy(update={"image_fps": None})])
    with pytest.raises(UserError, match=r"1 video\(s\) of .* missing"):
        prepare_rows(
            tmp_path,
            Preparation((TASK,), PROFILE.fit(TASK).sampling, "train", 5.0),
            tmp_path / "out",
        )
    line = json.dumps(listed.model_dump(exclude_defaults=True) | {"image_fps": 0})
    (tmp_path / "examples.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="image_fps"):
        read_examples(tmp_path)
