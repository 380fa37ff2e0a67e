"""From an adapter to a checkpoint that provably answers the same.

Does: merge, hold the result against the adapter before it gets its name, write profile and
manifest.  Does not: compute the merged weights (see merge) or the comparison (see agreement).
"""

from pathlib import Path

from finetune.agreement import Agreement, AgreementCheck
from finetune.base import BaseCheckpoint, read_base
from finetune.manifest import base_facts, versions
from finetune.merge import ADAPTER_WEIGHTS, merge_adapter, read_adapter
from mllm_affect.files import sha256_file, write_json
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import FILE_NAME, ModelProfile, write_profile
from mllm_affect.model.split_uses import MANIFEST_NAME


def merge(
    adapter: Path,
    base: str,
    out: Path,
    check: AgreementCheck | None = None,
    *,
    keep_talker: bool = True,
) -> tuple[Path, Agreement | None]:
    """Fold the peft adapter in folder `adapter` into `base`; return the new folder `out`.

    The profile is the adapter's where it has one, else the base's.  With a `check` the two are
    asked the same and `out` is not written where they differ.  Raises UserError, and EngineError
    `merge_differs`.
    """
    checkpoint = read_base(base)
    beside = adapter / FILE_NAME
    profile = checkpoint.profile
    if beside.is_file():
        profile = ModelProfile.model_validate_json(beside.read_text(encoding="utf-8"))
    agreement = merge_checked(adapter, checkpoint, out, check, profile.sampling, keep_talker)
    write_profile(out, profile)
    made_from = {
        "adapter_sha256": sha256_file(adapter / ADAPTER_WEIGHTS),
        "base": base_facts(checkpoint),
        "talker": "kept" if keep_talker else "dropped",
        "merge": None if agreement is None else agreement.as_dict(),
        "versions": versions(),
    }
    write_json(out / MANIFEST_NAME, made_from)
    return out, agreement


def merge_checked(
    adapter: Path,
    base: BaseCheckpoint,
    out: Path,
    check: AgreementCheck | None,
    sampling: Sampling | None,
    keep_talker: bool = True,
) -> Agreement | None:
    """Merge into the new folder `out`, which appears only once it agrees with the adapter."""
    found: list[Agreement] = []

    def compare(merged: Path) -> None:
        if check is not None:
            found.append(check.compare(base.folder, adapter, merged, sampling))
            found[0].refuse()

    merge_adapter(read_adapter(adapter), base, out, compare, keep_talker=keep_talker)
    return found[0] if found else None
