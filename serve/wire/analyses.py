"""An analysis as it is sent."""

from mllm_affect.client.models import Analysis, Failure, Progress, WebhookState
from serve.store.analyses import StoredAnalysis
from serve.store.webhook_outbox import DeliveryState
from serve.wire.times import time_of


def analysis_info(found: StoredAnalysis) -> Analysis:
    """Return what is sent about a stored analysis."""
    failed = found.error_code is not None
    return Analysis(
        id=found.id,
        video_id=found.video_id,
        status=found.status,  # type: ignore[arg-type]  # checked by the model
        progress=Progress(done=found.done, total=found.total),
        task=found.task.id,
        question=found.task.question,
        answers=list(found.task.answers),
        created_at=time_of(found.created_s),
        started_at=time_of(found.started_s),
        finished_at=time_of(found.finished_s),
        error=Failure(code=found.error_code or "", detail=found.error_detail or "")
        if failed
        else None,
        answer=found.answer,
        webhook=None if found.webhook is None else _webhook_info(found.webhook),
    )


def _webhook_info(found: DeliveryState) -> WebhookState:
    return WebhookState(
        state=found.state,  # type: ignore[arg-type]  # checked by the model
        delivery_id=found.id,
        tries=found.tries,
        last_status=found.last_status,
        last_error=found.last_error,
        next_try_at=time_of(found.next_try_s),
    )
