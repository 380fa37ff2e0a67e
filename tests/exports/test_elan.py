"""ELAN documents, checked against the rules of EAF 3.0 and read back with lxml."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from lxml import etree
from made_answers import analysis, plain, spoken

from mllm_affect.exports.analysis import Analysis
from mllm_affect.exports.elan import as_eaf

RULES = etree.XMLSchema(etree.parse(Path(__file__).with_name("eaf_rules.xsd")))

Tiers = dict[str, list[tuple[int, int, str]]]


def tiers(content: bytes) -> Tiers:
    """Each tier's annotations (start and end in milliseconds, value); asserts the rules."""
    document = etree.fromstring(content)
    RULES.assertValid(document)
    slots = {
        slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in document.iter("TIME_SLOT")
    }
    assert list(slots.values()) == sorted(slots.values())
    found: Tiers = {}
    for tier in document.iter("TIER"):
        annotations = [
            (
                slots[one.get("TIME_SLOT_REF1")],
                slots[one.get("TIME_SLOT_REF2")],
                one.findtext("ANNOTATION_VALUE"),
            )
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(start < end for start, end, _ in annotations)
        assert all(one[1] <= two[0] for one, two in pairwise(annotations))
        found[tier.get("TIER_ID")] = annotations
    return found


def test_answers_probabilities_and_stretches() -> None:
    read = tiers(as_eaf(plain()))
    assert read["ah"] == [(0, 5000, "yes"), (5000, 10000, "yes"), (10000, 12000, "no")]
    assert [value for *_, value in read["ah p(yes)"]] == ["0.900", "0.700", "0.200"]
    assert read["ah stretches"] == [(0, 10000, "yes")]


def test_pauses_are_joined_across_segments() -> None:
    read = tiers(as_eaf(analysis()))
    borders = [(0, 500), (4500, 5500), (9500, 10000)]
    assert [(start, end) for start, end, _ in read["pauses"]] == borders
    assert [start for start, *_ in read["speech"]] == [500, 5500]


def test_expressions_that_overlap_go_on_two_tiers_and_text_is_kept() -> None:
    read = tiers(as_eaf(analysis()))
    assert read["expressions"] == [(1600, 2000, "micro-expression 0.91")]
    assert read["expressions (2)"] == [(1900, 3100, "macro-expression 0.62")]
    text = 'She says "no" --> <b>&amp; looks\n\naway, smiles \u2603'
    assert [value for *_, value in read["question-1"]] == [text] * 3


def test_a_tier_that_nobody_filled_is_not_written() -> None:
    assert set(tiers(as_eaf(Analysis("v.mp4", (spoken(),))))) == {"question-1"}


def test_the_header_leads_to_the_video() -> None:
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    document = etree.fromstring(as_eaf(analysis(), made))
    assert document.get("DATE") == "2026-01-02T03:04:05+00:00"
    media = document.find("HEADER/MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "./my%20interview%20%26%20more.mp4"
    assert media.get("MIME_TYPE") == "video/mp4"
    told = {one.get("NAME"): one.text for one in document.iter("PROPERTY")}
    assert int(told["lastUsedAnnotationId"]) == len(list(document.iter("ALIGNABLE_ANNOTATION")))
    assert "lie detector" in told["notice"]
