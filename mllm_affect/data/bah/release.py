"""A release of BAH as labelled examples.

Does: join split lists, annotations, consent and the videos on disk by key; leave out whom consent
keeps out; put the words of a transcript onto one timeline.  Does not: judge the release (see
checks), or open videos.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mllm_affect.data.bah.annotation import Annotation
from mllm_affect.data.bah.consent import Consent, read_consent
from mllm_affect.data.bah.index import Index, read_index
from mllm_affect.data.bah.layout import (
    PARTICIPANTS,
    QUESTIONS,
    SPLIT_FOLDER,
    find_videos,
    key_of,
    participant_of,
    question_of,
    split_names,
)
from mllm_affect.data.bah.split_files import Note, SplitRow, read_splits
from mllm_affect.data.bah.transcripts import FileTranscripts, read_files, timed_words
from mllm_affect.data.bah.unlabelled import (
    AS_THE_FILES_SAY,
    StatedLabels,
    unlabelled_splits,
)
from mllm_affect.data.examples import Example
from mllm_affect.files import sha256_file, sha256_json

TASK = "ah"
ANSWERS = {0: "no", 1: "yes"}


@dataclass(frozen=True)
class Release:
    """Everything a release's text files say.

    `videos`: path below the folder by key.  `rows`: lines of the split lists.  `annotations` and
    `consent` by key and by participant.  `transcripts`: files read where annotations lack words.
    `unlabelled`: the splits without labels, each with the reason; their rows have none.
    """

    folder: Path
    videos: Mapping[str, str]
    rows: tuple[SplitRow, ...]
    index: Index | None
    annotations: Mapping[str, Annotation]
    consent: Mapping[str, Consent]
    notes: tuple[Note, ...]
    transcripts: FileTranscripts = field(default_factory=FileTranscripts)
    unlabelled: Mapping[str, str] = field(default_factory=dict)

    def sha256(self) -> str:
        """Return a hash of all that labels and splits were read from."""
        lists = [self.folder / SPLIT_FOLDER / f"{split}.txt" for split in split_names(self.folder)]
        files = [*lists, self.folder / PARTICIPANTS]
        hashes = [sha256_file(path) for path in files if path.is_file()]
        from_files = {key: self.transcripts.words(key) for key in sorted(self.transcripts.read)}
        hashes += [sha256_json(from_files)] if from_files else []
        return sha256_json([*hashes, self.index.sha256 if self.index else None])


def read_release(
    folder: Path, annotations: bool = True, stated: StatedLabels = AS_THE_FILES_SAY
) -> Release:
    """Read the lists, annotations (unless they are not wanted) and consent of a release.

    `stated`: what the user says of splits' labels.  Raises UserError `no_examples`,
    `bad_examples`, `bad_yaml`, `unsafe_yaml`, and `bad_options` for a stated split that is none.
    """
    notes: list[Note] = []
    rows = tuple(read_splits(folder, notes))
    index = read_index(folder) if annotations else None
    by_key = {key_of(item.written): item for item in (index.videos if index else ())}
    unlabelled = unlabelled_splits(rows, by_key, stated)
    rows = tuple(replace(row, label=None) if row.split in unlabelled else row for row in rows)
    silent = [row.key for row in rows if not (row.key in by_key and by_key[row.key].words)]
    return Release(
        folder=folder,
        videos=dict(find_videos(folder)),
        rows=rows,
        index=index,
        annotations=by_key,
        consent=read_consent(folder),
        notes=tuple(notes),
        transcripts=read_files(folder, silent),
        unlabelled=unlabelled,
    )


def examples_of(release: Release) -> tuple[list[Example], dict[str, int]]:
    """Return the examples in the lists' order, and how many were left out for which reason.

    A participant who refused the use in challenges is left out.  The split list's label counts,
    where it has one; in a split without labels nothing does.  A video listed twice is taken once.
    """
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for row in release.rows:
        if row.key in seen:
            left_out["listed twice"] += 1
            continue
        seen.add(row.key)
        if refused_challenges(release, row.key):
            left_out["consent: not for challenges"] += 1
            continue
        examples.append(_example(release, row))
    return examples, dict(left_out)


def refused_challenges(release: Release, key: str) -> bool:
    """Whether the video's participant said no to the use in challenges."""
    consent = release.consent.get(participant_of(key))
    return consent is not None and consent.challenges is False


def _example(release: Release, row: SplitRow) -> Example:
    annotation = release.annotations.get(row.key)
    label = row.label
    if label is None and annotation is not None and row.split not in release.unlabelled:
        label = annotation.global_ah
    question = question_of(row.key)
    known = annotation is not None and label is not None
    spans = annotation.spans_s if annotation else ()
    frames = annotation.frame_spans if annotation else ()
    words = timed_words(annotation) or release.transcripts.words(row.key)
    written = (annotation.transcript if annotation else None) or row.transcript.strip()
    said = written or " ".join(text for _, _, text in words)
    consent = release.consent.get(participant_of(row.key))
    return Example(
        video=release.videos.get(row.key, row.written.strip()),
        participant=participant_of(row.key),
        split=row.split,
        labels={} if label is None else {TASK: ANSWERS[label]},
        # A video that is positive without any span is annotated as a whole only.
        spans={TASK: spans} if known and bool(spans) == bool(label) else {},
        frame_spans={TASK: frames} if known and bool(frames) == bool(label) else {},
        topic=question,
        asked=QUESTIONS[question] if question else None,
        transcript=said or None,
        words=words,
        publishable=consent is not None and consent.publications is True,
    )
