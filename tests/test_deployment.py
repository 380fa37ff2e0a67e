"""The image, compose.yaml and the dashboard, held to the code; no container runs here."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from click import Command
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from serve.meters import Meters
from tests.serve.service_in_process import Service

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
RUNTIME = DOCKERFILE.split("\nFROM ")[-1]


def entry_point() -> list[str]:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    return list(json.loads(found[1]))


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of a command line of this program, as its own parser reads them."""
    program, verb, *rest = words
    assert program == "mllm-affect"
    command: Command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    return command.make_context(verb, rest).params


def test_arguments_of_docker_run_keep_host_and_key_file() -> None:
    given = parsed([*entry_point(), "--model", "/models/M"])
    assert (given["host"], given["api_key_file"]) == ("0.0.0.0", Path("/run/secrets/api_key"))
    assert given["model"] == Path("/models/M")
    assert not re.search(r"^CMD ", DOCKERFILE, re.MULTILINE)


def test_arguments_of_docker_run_win(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40, encoding="utf-8")
    key.chmod(0o600)
    words = [*entry_point(), "--host", "127.0.0.1", "--api-key-file", str(key), "--dry-run"]
    given = parsed(words)
    assert (given["host"], given["api_key_file"]) == ("127.0.0.1", key)
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output


def test_image_is_pinned_and_runs_as_an_ordinary_user() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases)
    assert re.findall(r"^USER (\S+)", RUNTIME, re.MULTILINE) == ["10001"]
    installs = re.findall(r"pip install(?:[^&]|\\\n)*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps dist/" in one for one in installs)


def locked(name: str) -> dict[str, tuple[str, str]]:
    text = (ROOT / "constraints" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        package, _, rest = line.partition("==")
        version, *hashes = rest.split()
        found[package] = (version, " ".join(hashes))
    return found


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and line[0] != "#")


@pytest.mark.parametrize("name", ["gpu", "build"])
def test_every_package_of_the_image_is_hashed_in_the_pinned_version(name: str) -> None:
    pins = pinned(f"{name}.txt")
    lock = locked(f"{name}.hashes.txt")
    for package, (version, hashes) in lock.items():
        assert "--hash=sha256:" in hashes, package
        if package not in ("uv", "tomlkit"):
            assert pins[package] == version, package
    text = (ROOT / "constraints" / f"{name}.hashes.txt").read_text(encoding="utf-8")
    assert "://" not in text


def test_image_holds_what_pyproject_asks_for_and_no_development_tools() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for extra in ("serving", "perception", "postgres"):
        wanted += [one for one in extras[extra] if not one.startswith("mllm-affect")]
    names = {re.split(r"[\[><=;]", one)[0].strip() for one in wanted}
    lock = locked("gpu.hashes.txt")
    assert names <= set(lock)
    tools = {"pytest", "ruff", "mypy", "hypothesis", "pre-commit", "schemathesis", "playwright"}
    assert not (tools | {"ms-swift", "trl", "peft", "deepspeed"}) & set(lock)
    assert "make" not in RUNTIME.split("USER")[0].split("install ")[1].split()


def test_image_gets_only_what_the_dockerfile_copies() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line for line in ignore if line and not line.startswith("#")]
    assert lines[0] == "*"
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    let = {line[1:] for line in lines if line.startswith("!")}
    assert let - {"constraints/*.hashes.txt"} == {one for one in copied if "/" not in one}
    assert all((ROOT / one).exists() for one in copied)


@pytest.mark.parametrize("name", ["api", "worker", "postgres", "vllm"])
def test_containers_are_confined_checked_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert int(service["stop_grace_period"].removesuffix("s")) > 30
    assert "ports" not in service or (name, service["ports"]) == ("api", ["127.0.0.1:8000:8000"])
    assert {one.split(":")[0] for one in service.get("volumes", []) if one[0] != "."} <= set(
        COMPOSE["volumes"]
    )
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for needed in service.get("depends_on", {}).values():
        assert needed == {"condition": "service_healthy"}


def test_foreign_images_are_pinned_by_digest() -> None:
    images = {one["image"] for one in SERVICES.values() if "build" not in one}
    assert images
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)


def test_api_and_worker_share_data_database_model_and_model_server() -> None:
    api = parsed([*entry_point(), *SERVICES["api"]["command"]])
    worker = parsed([*SERVICES["worker"]["entrypoint"], *SERVICES["worker"]["command"]])
    for option in ("data", "database", "model", "engine_url"):
        assert api[option] == worker[option]
    assert (api["host"], api["jobs"]) == ("0.0.0.0", 0)
    assert api["api_key_file"] == Path("/run/secrets/api_key")
    assert "://affect@postgres/affect?passfile=" in api["database"]


def test_model_server_runs_the_printed_command() -> None:
    shell, flag, line = SERVICES["vllm"]["entrypoint"]
    assert (shell, flag) == ("sh", "-ec")
    found = re.search(r"\$\$\((.*?)\)", line)
    assert found is not None
    assert parsed(shlex.split(found[1]))["dry_run"] is True
    printed = CliRunner().invoke(app, ["serve", "--dry-run"])
    words = shlex.split(printed.stdout)
    assert printed.stdout.count("\n") == 1
    assert words[words.index("--port") + 1] == "8001"
    assert SERVICES["vllm"]["ipc"] == "host"


def test_dashboard_asks_for_metrics_that_the_service_has() -> None:
    board = json.loads((ROOT / "deploy/grafana/mllm-affect.json").read_text(encoding="utf-8"))
    assert board["schemaVersion"] >= 39
    assert [one["type"] for one in board["templating"]["list"]] == ["datasource"]
    running = Service()
    with running.http:
        running.http.get("/healthz")
        scraped = running.http.get("/metrics").text
    offered = {family.name for family in text_string_to_metric_families(scraped)}
    labels = {
        metric.name: {*labels, "le"}
        for meter in vars(Meters()).values()
        if (labels := getattr(meter, "_labelnames", None)) is not None
        for metric in meter.describe()
    }
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            expression = target["expr"]
            names = re.findall(r"\b(?:mllm_affect|process)_\w+", expression)
            assert names, expression
            families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in names}
            assert families <= offered, expression
            grouped = re.findall(r"by \(([^)]*)\)", expression)
            used = {one.strip() for group in grouped for one in group.split(",")}
            for family in families:
                assert used <= labels.get(family, set()), expression
