"""From an adapter to a checkpoint that provably answers the same.

Does: merge, hold the result against the adapter before it gets its name, write profile and
manifest.  Does not: compute the merged weights (see merge) or the comparison (see agreement).
"""

from pathlib import Path

from finetune.agreement import Agreement, AgreementCheck
from finetune.base import BaseCheckpoint, read_base
from finetune.folders import refuse_existing
from finetune.manifest import base_facts, versions
from finetune.merge import ADAPTER_WEIGHTS, merge_adapter, read_adapter
from mllm_affect.files import sha256_file, write_json
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
    asked the same; where they differ the merge is kept under another name.  Raises UserError, and
    EngineError `merge_differs`.
    """
    checkpoint = read_base(base)
    beside = adapter / FILE_NAME
    profile = checkpoint.profile
    if beside.is_file():
        profile = ModelProfile.model_validate_json(beside.read_text(encoding="utf-8"))
    agreement = merge_checked(adapter, checkpoint, out, check, profile, keep_talker)
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
    profile: ModelProfile,
    keep_talker: bool = True,
) -> Agreement | None:
    """Merge into the new folder `out`, which appears only once it agrees with the adapter.

    Until then it is `OUT-unchecked`, and stays so where the two differ, with its profile and what
    was found.  Raises UserError `out_exists`, EngineError `merge_differs`.
    """
    read = read_adapter(adapter)
    if check is None:
        merge_adapter(read, base, out, keep_talker=keep_talker)
        return None
    refuse_existing(out)
    unchecked = unchecked_folder(out)
    merge_adapter(read, base, unchecked, keep_talker=keep_talker)
    agreement = check.compare(base.folder, adapter, unchecked, profile.sampling)
    if not agreement.holds:
        write_profile(unchecked, profile)
        facts = {"merge": agreement.as_dict(), "base": base_facts(base), "versions": versions()}
        write_json(unchecked / MANIFEST_NAME, facts)
        agreement.refuse(unchecked)
    unchecked.replace(out)
    return agreement


def unchecked_folder(out: Path) -> Path:
    """Return where a merge for `out` lies until it was compared."""
    return out.with_name(f"{out.name}-unchecked")
