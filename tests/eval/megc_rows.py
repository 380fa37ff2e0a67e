"""Small question files and predictions that the tests of the micro-expression export share."""

import json
from pathlib import Path

from eval.megc.predictions import Predicted
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import ClipEvidence
from mllm_affect.scoring.event_answers import answer_video, settle
from mllm_affect.scoring.video_events import Event

VQA = [
    word(Asked(Kind.coarse)),
    word(Asked(Kind.fine)),
    word(Asked(Kind.units)),
    word(Asked(Kind.unit_shown, unit="dimpler")),
    word(Asked(Kind.analysis), 1),
]
LVQA = [
    word(Asked(Kind.count_all)),
    word(Asked(Kind.count_micro)),
    word(Asked(Kind.count_macro)),
    word(Asked(Kind.distinct_units)),
    word(Asked(Kind.event_type, number=2)),
    word(Asked(Kind.event_type, number=1)),
]
NAMES = {
    "vqa": "me_vqa_{}_v2_test_to_answer.jsonl",
    "lvqa": "me_lvqa_{}_test_to_answer.jsonl",
}
EVIDENCE = ClipEvidence(fine={"fear": 0.6, "happiness": 0.4}, shown={"dimpler": 0.7})
EVENTS = [Event(1.0, 1.1, 1.3, 0.9, "micro-expression", {"dimpler": 0.8})]


def row_id(dataset: str, clip: int, row: int, shared: bool) -> str:
    """As the organisers write it, one per row, or one `shared` by all rows of a clip."""
    return f"{dataset}_test_MADE-{clip}" if shared else f"{dataset}_test_MADE-{clip}_{row}"


def write_questions(folder: Path, task: str, clips: int = 2, shared: bool = False) -> list[Path]:
    """One compact and one spaced file with an extra key, neither with a final newline.

    Both sets call their clips the same.
    """
    paths = []
    for dataset, separators in (("casme3", (",", ":")), ("samm", (", ", ": "))):
        rows = [
            {"note": "é", "video_id": row_id(dataset, n, place, shared), "video": f"MADE-{n}",
             "question": text, "answer": ""}
            for n in range(clips)
            for place, text in enumerate(VQA if task == "vqa" else LVQA, start=1)
        ]  # fmt: skip
        lines = [json.dumps(row, separators=separators, ensure_ascii=dataset == "samm")
                 for row in rows]  # fmt: skip
        path = folder / NAMES[task].format(dataset)
        path.write_bytes("\r\n".join(lines).encode())
        paths.append(path)
    return paths


def predict(task: str, clips: int = 2, shared: bool = False) -> list[Predicted]:
    """Consistent answers to all of them; the first clip of each set is said to be missing."""
    rows = []
    for dataset in ("casme3", "samm"):
        for n in range(clips):
            texts = VQA if task == "vqa" else LVQA
            asked = [item for text in texts if (item := recognise(text)) is not None]
            answers = (
                answer_clip(asked, EVIDENCE).answers
                if task == "vqa"
                else answer_video(asked, settle(asked, EVENTS), "number")
            )
            rows += [
                Predicted(dataset, row_id(dataset, n, place, shared), text, answer,
                          "missing" if n == 0 else "frames", n == 0, f"MADE-{n}")
                for place, (text, answer) in enumerate(zip(texts, answers, strict=True), start=1)
            ]  # fmt: skip
    return rows
