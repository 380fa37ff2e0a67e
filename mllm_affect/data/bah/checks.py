"""Checking a release of BAH before anything is trained on it: what its text files say.

Does: hold lists, annotations, names and consent against each other and against the published
counts.  Does not: open videos (see video_checks), change anything, or print.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mllm_affect.data.bah.annotation import Annotation
from mllm_affect.data.bah.findings import Finding, Verdict
from mllm_affect.data.bah.layout import ANNOTATIONS, find_videos, key_of, participant_of
from mllm_affect.data.bah.release import Release, read_release, refused_challenges
from mllm_affect.data.bah.split_files import Note, SplitRow, read_frame_labels
from mllm_affect.data.bah.unlabelled import AS_THE_FILES_SAY, StatedLabels
from mllm_affect.data.bah.video_checks import check_videos
from mllm_affect.errors import UserError

Version = Literal["v1", "v2", "other"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Published:
    """Counts that the owners state for a version, by split; None where they state none."""

    videos: Mapping[str, int]
    positive: Mapping[str, int] | None
    participants: int


PUBLISHED = {
    "v1": Published({"train": 616, "val": 110, "test": 392}, None, 224),
    "v2": Published(
        {"train": 778, "val": 124, "test": 525}, {"train": 385, "val": 75, "test": 318}, 300
    ),
}


def check_release(
    folder: Path,
    version: Version = "other",
    decode: bool = False,
    trusted: bool = False,
    progress: Progress = lambda _done, _total: None,
    stated: StatedLabels = AS_THE_FILES_SAY,
) -> list[Verdict]:
    """Check everything; return a verdict for every check, in the order in which they are told.

    `decode` decodes every video to its end instead of its first frame; `trusted` does it in this
    process; `stated` is what the user says of splits' labels.  Raises UserError `no_examples` for
    a folder that is no release, `bad_options` for a stated split that is none.
    """
    release, unreadable = _read(folder, stated)
    notes = list(release.notes)
    frame_labels = read_frame_labels(folder, notes)
    videos = check_videos(release, decode, trusted, progress)
    return [
        Verdict("lists are clean", len(release.rows), tuple(map(_noted, notes))),
        Verdict("annotations are readable", len(release.annotations), unreadable),
        _verdict("transcripts are readable", _transcripts(release), _unread(release)),
        _verdict("every video is named once", len(release.rows), _duplicates(release)),
        _verdict("splits share no participant", _people(release), _leaks(release)),
        _verdict("splits have labels", len(_splits(release)), _unlabelled(release)),
        _verdict("labels agree", len(release.rows), _labels(release, frame_labels)),
        *videos,
        _verdict("consent is honoured", len(release.consent), _consent(release)),
        _verdict(f"counts ({version})", len(release.rows), _counts(release, version)),
    ]


def _read(folder: Path, stated: StatedLabels) -> tuple[Release, tuple[Finding, ...]]:
    """Read a release; one whose annotations are refused is checked without them."""
    try:
        release = read_release(folder, stated=stated)
    except UserError as error:
        if error.code not in ("unsafe_yaml", "bad_yaml"):
            raise
        finding = Finding(error.code, ANNOTATIONS, error.sentence)
        return read_release(folder, annotations=False, stated=stated), (finding,)
    problems = tuple(
        Finding("bad_annotation", item.written, f"cannot be read: {', '.join(set(item.problems))}")
        for item in release.annotations.values()
        if item.problems
    )
    return release, problems


def _verdict(check: str, looked_at: int, findings: Iterator[Finding]) -> Verdict:
    return Verdict(check, looked_at, tuple(findings))


def _noted(note: Note) -> Finding:
    return Finding(note.code, note.where, note.sentence, note.fault)


def _place(row: SplitRow) -> str:
    return f"split/{row.split}.txt, line {row.line}"


def _transcripts(release: Release) -> int:
    """Return how many videos' words are known."""
    annotated = sum(bool(item.words) for item in release.annotations.values())
    return annotated + len(release.transcripts.read) + len(release.transcripts.problems)


def _unread(release: Release) -> Iterator[Finding]:
    for where, sentence in release.transcripts.problems.items():
        yield Finding("bad_transcript", where, f"is the only transcript of its video: {sentence}")


def _duplicates(release: Release) -> Iterator[Finding]:
    first: dict[str, SplitRow] = {}
    for row in release.rows:
        if row.key in first:
            sentence = f"names {row.written} again, after {_place(first[row.key])}"
            yield Finding("duplicate_id", _place(row), sentence)
        first.setdefault(row.key, row)
    written = Counter(
        key_of(item.written) for item in (release.index.videos if release.index else ())
    )
    on_disk = Counter(key for key, _ in find_videos(release.folder))
    for where, counts in ((ANNOTATIONS, written), ("the folder of videos", on_disk)):
        for key, count in counts.items():
            if count > 1:
                yield Finding("duplicate_id", where, f"holds {key} {count} times")


def _people(release: Release) -> int:
    return len({participant_of(row.key) for row in release.rows})


def _leaks(release: Release) -> Iterator[Finding]:
    splits: dict[str, set[str]] = {}
    for row in release.rows:
        splits.setdefault(participant_of(row.key), set()).add(row.split)
    for name, where in splits.items():
        if len(where) > 1:
            sentence = f"stands in {' and '.join(sorted(where))}; give everyone one split"
            yield Finding("participant_leak", name, sentence)


def _splits(release: Release) -> set[str]:
    return {row.split for row in release.rows}


def _unlabelled(release: Release) -> Iterator[Finding]:
    for split, reason in release.unlabelled.items():
        count = sum(row.split == split for row in release.rows)
        sentence = (
            f"has no labels ({reason}): `predict` answers its {count} videos, nothing is trained "
            "or scored on them"
        )
        yield Finding("unlabelled_split", f"split/{split}.txt", sentence, False)


def _labels(
    release: Release, frame_labels: Mapping[str, Mapping[str, Mapping[int, int]]]
) -> Iterator[Finding]:
    for row in release.rows:
        if row.split in release.unlabelled:
            continue
        annotation = release.annotations.get(row.key)
        label = row.label
        if annotation is None:
            if release.annotations:
                yield Finding("no_annotation", row.written, "is listed and not annotated", False)
        else:
            if None not in (label, annotation.global_ah) and label != annotation.global_ah:
                yield Finding(
                    "label_mismatch",
                    row.written,
                    f"is {label} in {_place(row)} and {annotation.global_ah} as global_ah",
                )
            label = annotation.global_ah if label is None else label
            yield from _span_labels(row.written, label, annotation)
        yield from _frame_lists(row, label, annotation, frame_labels)


def _span_labels(written: str, label: int | None, annotation: Annotation) -> Iterator[Finding]:
    """Yield where the label of a video and what is annotated inside it contradict each other."""
    inside = {
        "time_detailed_ah": bool(annotation.spans_s),
        "fr_detailed_ah": bool(annotation.frame_spans),
    }
    if annotation.frame_runs:
        inside["frame_annotation"] = any(run[2] for run in annotation.frame_runs)
    if label is None:
        return
    for name, somewhere in inside.items():
        if somewhere != bool(label):
            found = "is positive somewhere" if somewhere else "is positive nowhere"
            yield Finding("label_mismatch", written, f"has label {label} and {found} in {name}")


def _frame_lists(
    row: SplitRow,
    label: int | None,
    annotation: Annotation | None,
    frame_labels: Mapping[str, Mapping[str, Mapping[int, int]]],
) -> Iterator[Finding]:
    for split, videos in frame_labels.items():
        listed = videos.get(row.key)
        if listed is None:
            continue
        if split != row.split:
            sentence = f"is in split-frames/{split}.txt but in {_place(row)}"
            yield Finding("participant_leak", row.written, sentence)
        if label is not None and any(listed.values()) != bool(label):
            sentence = f"has label {label}, its frames in split-frames/{split}.txt say otherwise"
            yield Finding("label_mismatch", row.written, sentence)
        differing = _differing(listed, annotation)
        if differing:
            sentence = (
                f"has {differing} frames with another label in split-frames/{split}.txt than in "
                "frame_annotation"
            )
            yield Finding("label_mismatch", row.written, sentence)


def _differing(listed: Mapping[int, int], annotation: Annotation | None) -> int:
    return sum(
        listed.get(frame, label) != label
        for first, last, label in (annotation.frame_runs if annotation else ())
        for frame in range(first, last + 1)
    )


def _consent(release: Release) -> Iterator[Finding]:
    listed = {participant_of(row.key): row.key for row in release.rows}
    for name, key in listed.items():
        if refused_challenges(release, key):
            sentence = "said no to the use in challenges and is in a split; leave them out"
            yield Finding("consent_refused", name, sentence)
        elif release.consent and name not in release.consent:
            yield Finding("consent_unknown", name, "is not in meta_data.yml", False)
    unshown = [
        name
        for name in listed
        if name in release.consent and release.consent[name].publications is False
    ]
    if unshown:
        sentence = f"{len(unshown)} participants said no to the use in publications; show none"
        yield Finding("not_for_publications", ", ".join(unshown), sentence, False)


def _counts(release: Release, version: Version) -> Iterator[Finding]:
    published = PUBLISHED.get(version)
    if published is None:
        return
    listed = (row.key for row in release.rows if row.split in published.videos)
    people = len({participant_of(key) for key in listed})
    if people != published.participants:
        sentence = f"{people} participants, published are {published.participants}"
        yield Finding("wrong_count", "participants", sentence)
    for split, wanted in published.videos.items():
        rows = [row for row in release.rows if row.split == split]
        if len(rows) != wanted:
            sentence = f"{len(rows)} videos, published are {wanted}"
            yield Finding("wrong_count", split, sentence)
        positive = sum(row.label == 1 for row in rows)
        if published.positive and positive != published.positive[split]:
            sentence = f"{positive} positive videos, published are {published.positive[split]}"
            yield Finding("wrong_count", split, sentence)
