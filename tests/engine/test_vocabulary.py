"""The tokens of a checkpoint, read from whichever files it has."""

import json
import shutil
from pathlib import Path

import pytest
from vocabularies import miniature_vocabulary

from mllm_affect.engine.vocabulary import END, Vocabulary, spelled
from mllm_affect.errors import UserError
from mllm_affect.model.miniature import embedded_checkpoint


class Loaded:
    """As much of a transformers tokenizer as a vocabulary is made of."""

    def __init__(self, file: Path) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        self.loaded = tokenizers.Tokenizer.from_file(str(file))

    def get_vocab(self) -> dict[str, int]:
        return dict(self.loaded.get_vocab())

    def get_added_vocab(self) -> dict[str, int]:
        decoder = self.loaded.get_added_tokens_decoder()
        return {token.content: number for number, token in decoder.items()}


def test_files_and_tokenizer_tell_the_same() -> None:
    checkpoint = embedded_checkpoint()
    tokenizer = Loaded(checkpoint / "tokenizer.json")
    ends = json.loads((checkpoint / "generation_config.json").read_text())["eos_token_id"]
    vocabulary = miniature_vocabulary()
    assert Vocabulary.of_tokenizer(tokenizer, ends) == vocabulary
    names = {number: name for name, number in vocabulary.ids.items()}
    for text in ("yes and no", "schön", "是", "😀 \t\n"):
        ids = tokenizer.loaded.encode(text, add_special_tokens=False).ids
        assert "".join(names[number] for number in ids) == spelled(text.encode())


def test_a_checkpoint_with_separate_files_tells_the_same(tmp_path: Path) -> None:
    """As Qwen publishes them: vocab.json holds ordinary tokens, tokenizer_config.json the rest."""
    whole = json.loads((embedded_checkpoint() / "tokenizer.json").read_text())
    special = {entry["content"]: entry["id"] for entry in whole["added_tokens"]}
    vocab = {t: n for t, n in whole["model"]["vocab"].items() if t not in special}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    decoder = {str(number): {"content": name} for name, number in special.items()}
    config = {"eos_token": "<|im_end|>", "added_tokens_decoder": decoder}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    shutil.copy(embedded_checkpoint() / "generation_config.json", tmp_path)
    assert Vocabulary.of_checkpoint(tmp_path) == miniature_vocabulary()


def test_beginnings_are_tokens_by_their_bytes_and_no_control_tokens() -> None:
    vocabulary = miniature_vocabulary()
    found = vocabulary.beginnings(["да".encode(), b"yes", b"", b"<|im_end|>"])
    assert set(found) == {b"\xd0", b"y", b"yes", END, b"<"}
    assert found[END] == tuple(sorted(vocabulary.ends))
    assert found[b"yes"] == (vocabulary.id_of(b"yes"),)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"eos_token": "none such"}'])
def test_a_tokenizer_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content)
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer") as caught:
        Vocabulary.of_checkpoint(tmp_path)
    assert caught.value.code == "bad_checkpoint"
