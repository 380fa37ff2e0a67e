"""Pages of other origins: only listed ones may ask; keys and Host hold all the same."""

import pytest
from service_in_process import Service

from mllm_affect.errors import UserError
from serve.keys import ApiKey, hash_of
from serve.origins import checked_origin
from serve.settings import ServiceSettings

PAGE = "https://app.example"
OTHER = "https://other.example"
KEY = "a key of the clinic"
KEYS = (ApiKey(name="clinic", sha256=hash_of(KEY), requests_per_minute=2),)
BEARER = {"Authorization": f"Bearer {KEY}"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
}


def serving(*origins: str, keys: tuple[ApiKey, ...] = KEYS) -> Service:
    return Service(ServiceSettings(allow_origins=origins, keys=keys))


def test_a_preflight_needs_no_key_and_names_what_may_be_sent() -> None:
    told = serving(PAGE).http.options("/v1/analyses", headers={"Origin": PAGE, **PREFLIGHT})
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == PAGE
    assert "POST" in told.headers["access-control-allow-methods"]
    allowed = told.headers["access-control-allow-headers"].lower()
    for name in ("authorization", "content-type", "idempotency-key", "last-event-id", "range"):
        assert name in allowed
    assert "access-control-allow-credentials" not in told.headers
    assert int(told.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("origin", [OTHER, "null", "https://app.example.evil", f"{PAGE}:8443"])
def test_a_preflight_of_another_origin_is_refused(origin: str) -> None:
    told = serving(PAGE).http.options("/v1/analyses", headers={"Origin": origin, **PREFLIGHT})
    assert told.status_code == 400
    assert "access-control-allow-origin" not in told.headers


def test_without_the_option_there_is_no_preflight() -> None:
    told = serving().http.options("/v1/analyses", headers={"Origin": PAGE, **PREFLIGHT})
    assert told.status_code == 401
    assert not [name for name in told.headers if name.startswith("access-control")]


def test_an_answer_may_be_read_refusals_and_their_retry_after_too() -> None:
    http = serving(PAGE).http
    missing = http.get("/v1/limits", headers={"Origin": PAGE})
    answers = [http.get("/v1/limits", headers={"Origin": PAGE, **BEARER}) for _ in range(3)]
    assert [one.status_code for one in (missing, *answers)] == [401, 200, 200, 429]
    assert "retry-after" in answers[-1].headers
    for one in (missing, *answers):
        assert one.headers["access-control-allow-origin"] == PAGE
        assert "origin" in one.headers["vary"].lower()
        shown = one.headers["access-control-expose-headers"].lower()
        for name in ("retry-after", "location", "x-request-id", "content-range"):
            assert name in shown
        assert "access-control-allow-credentials" not in one.headers


def test_another_origin_cannot_read_an_answer() -> None:
    told = serving(PAGE).http.get("/v1/limits", headers={"Origin": OTHER, **BEARER})
    assert "access-control-allow-origin" not in told.headers


def test_without_keys_only_listed_pages_and_this_machine_may_ask() -> None:
    http = serving(PAGE, keys=()).http
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert http.get("/v1/limits", headers={"Origin": PAGE, **cross}).status_code == 200
    for refused in (
        {"Origin": OTHER, **cross},
        {"Origin": "null", **cross},
        cross,  # as an image or a link sends
        {"Origin": PAGE, "Host": "app.example"},  # a name that was pointed here
    ):
        assert http.get("/v1/limits", headers=refused).status_code == 403, refused


@pytest.mark.parametrize(
    "text",
    ["https://app.example", "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:3000"],
)
def test_origins_as_browsers_send_them_are_taken(text: str) -> None:
    assert checked_origin(text) == text


@pytest.mark.parametrize(
    "text",
    ["*", "null", "", "app.example", "ftp://app.example", "https://", "https://app.example/",
     "https://app.example/page", "https://app.example?x", "https://user@app.example",
     "https://APP.example", "https://app.example:443", "http://app.example:80",
     "https://app.example:port", "http://[bad", "https://müller.example", "https://*.example",
     "https://app.example https://b.example"],
)  # fmt: skip
def test_what_no_browser_sends_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UserError) as told:
        checked_origin(text)
    assert told.value.code == "bad_origin"
    assert "\n" not in told.value.sentence


def test_the_command_refuses_it_before_anything_starts() -> None:
    from typer.testing import CliRunner

    from mllm_affect.cli.app import app

    for words in (["--allow-origin", "*"], ["--root-path", "affect"]):
        done = CliRunner().invoke(app, ["serve", "--dry-run", *words])
        assert done.exit_code == 2, done.output
        assert "bad_" in done.output
