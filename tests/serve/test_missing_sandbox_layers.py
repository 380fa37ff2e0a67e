"""What does not confine decoding on a machine is told at the start, in health and metrics."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service_in_process import Service
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.errors import UserError
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.isolation.decoding_process import DecodingProcess
from mllm_affect.media.isolation.sandbox import SandboxLayers
from mllm_affect.media.limits import Limits
from serve import sandbox
from serve.settings import ServiceSettings

WHOLE = SandboxLayers(True, True, True, 7, True)
WEAK = SandboxLayers(True, False, True, 0, True)


def test_readiness_and_metrics_name_what_is_missing(service: Service) -> None:
    for layers, missing in ((WHOLE, []), (WEAK, ["network_namespace", "landlock"])):
        object.__setattr__(service.state, "sandbox", layers)
        ready = service.http.get("/readyz").json()
        assert ready == {"status": "ready", "missing_sandbox_layers": missing}
        scraped = service.http.get("/metrics").text
        for layer in ("network_namespace", "landlock", "seccomp", "resource_limits"):
            told = (
                f'mllm_affect_sandbox_layer{{layer="{layer}"}} {0.0 if layer in missing else 1.0}'
            )
            assert told in scraped


def test_it_is_said_at_the_start_and_refused_where_all_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sandbox, "sandbox_layers", lambda: WHOLE)
    assert sandbox.checked_sandbox(True, said.append) == WHOLE
    assert said == []
    monkeypatch.setattr(sandbox, "sandbox_layers", lambda: WEAK)
    assert sandbox.checked_sandbox(False, said.append) == WEAK
    assert len(said) == 1
    assert "network_namespace, landlock" in said[0]
    with pytest.raises(UserError, match="landlock") as caught:
        sandbox.checked_sandbox(True, said.append)
    assert caught.value.code == "sandbox_missing"


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_the_command_refuses_to_start(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "sandbox_layers", lambda: WEAK)
    words = [verb, "--require-sandbox", "--json", "--data", str(tmp_path / "data")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert json.loads(done.output.splitlines()[-1])["error"]["code"] == "sandbox_missing"
    assert not (tmp_path / "data").exists()


def test_each_video_is_refused_whose_process_lacks_a_layer(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer may be missing later, as when the machine has no more namespaces to give."""
    strict, lax = Limits(full_sandbox=True), Limits()
    assert isolated_video.probe(video, strict) == isolated_video.probe(video, lax)
    begin = DecodingProcess.begin

    def weak(process: DecodingProcess, *given: object) -> SandboxLayers:
        begin(process, *given)  # type: ignore[arg-type]
        return WEAK

    monkeypatch.setattr(DecodingProcess, "begin", weak)
    isolated_video.probe(video, lax)
    with pytest.raises(UserError, match="landlock") as caught:
        isolated_video.probe(video, strict)
    assert caught.value.code == "sandbox_missing"
    service = Service(ServiceSettings(require_sandbox=True))
    response = service.http.post("/v1/videos", content=video.read_bytes())
    assert (response.status_code, response.json()["code"]) == (503, "sandbox_missing")
    assert response.headers["retry-after"]


def without_network_namespaces(*words: str) -> list[str]:
    """Words that run a program where the kernel gives no network namespaces."""
    script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    return ["unshare", "-rU", "sh", "-c", script, "sh", *words]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(without_network_namespaces("true"), capture_output=True).returncode != 0,
    reason="no user namespaces here",
)
def test_a_kernel_that_gives_no_network_namespaces(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "mllm_affect"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            without_network_namespaces(*program, *words),
            capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip

    told = run("doctor", "--json")
    assert told.stdout, told.stderr
    findings = json.loads(told.stdout)["findings"]
    (found,) = [one for one in findings if one["part"] == "isolated decoding"]
    assert not found["works"]
    assert "without network namespace" in found["found"]
    done = run("serve", "--require-sandbox", "--json", "--data", str(tmp_path / "data"))
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "sandbox_missing"
