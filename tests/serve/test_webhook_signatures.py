"""Webhooks: signatures, the file of secrets, and which receivers may be named."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app as cli
from mllm_affect.client.webhooks import secret_bytes, verified_webhook, webhook_headers
from mllm_affect.errors import UserError
from serve.webhooks.receiver_url import checked_url
from serve.webhooks.secret_file import read_webhook_secrets
from serve.webhooks.settings import WebhookHost, WebhookSettings

SECRET = "whsec_" + base64.b64encode(bytes(range(100, 132))).decode()
OLDER = "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()
NOW = 1_700_000_000
BODY = json.dumps(
    {
        "type": "analysis.succeeded",
        "timestamp": "2026-01-02T03:04:05+00:00",
        "data": {
            "id": "a" * 32, "status": "succeeded", "created_at": "2026-01-02T03:04:00+00:00",
            "started_at": None, "finished_at": "2026-01-02T03:04:05+00:00", "path": "/v1/x",
        },
    }
).encode()  # fmt: skip


def headers(secret: str = SECRET, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return webhook_headers([secret_bytes(secret)], "msg_1", at, body)


def test_a_signature_is_the_one_that_the_specification_prints() -> None:
    """The example of Standard Webhooks' own libraries."""
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = webhook_headers(
        [secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_was_signed_is_read_with_any_case_of_header_names() -> None:
    sent = {name.title(): value for name, value in headers().items()}
    event = verified_webhook(BODY, sent, SECRET, now_s=NOW + 299)
    assert (event.type, event.data.status) == ("analysis.succeeded", "succeeded")
    assert verified_webhook(BODY, headers(at=int(time.time())), SECRET) == event


def test_both_secrets_fit_while_they_are_changed() -> None:
    both = webhook_headers([secret_bytes(SECRET), secret_bytes(OLDER)], "msg_1", NOW, BODY)
    for known in (SECRET, OLDER, [OLDER, SECRET]):
        verified_webhook(BODY, both, known, now_s=NOW)
    verified_webhook(BODY, headers(OLDER), [SECRET, OLDER], now_s=NOW)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"webhook-signature": headers(OLDER)["webhook-signature"]}, "bad_webhook_signature"),
        ({"webhook-signature": ""}, "bad_webhook_signature"),
        ({"webhook-signature": "v1,é"}, "bad_webhook_signature"),
        ({"webhook-signature": "v2" + headers()["webhook-signature"][2:]}, "bad_webhook_signature"),
        ({"webhook-id": "msg_2"}, "bad_webhook_signature"),
        ({"webhook-timestamp": str(NOW + 1)}, "bad_webhook_signature"),
        (headers(at=NOW - 301), "webhook_out_of_time"),
        (headers(at=NOW + 301), "webhook_out_of_time"),
    ],
)
def test_what_was_not_signed_so_is_refused(changed: dict[str, str], code: str) -> None:
    with pytest.raises(UserError) as raised:
        verified_webhook(BODY, {**headers(), **changed}, SECRET, now_s=NOW)
    assert raised.value.code == code


def test_another_body_a_missing_header_and_no_secret_are_refused() -> None:
    for body, sent, secrets, code in (
        (BODY + b" ", headers(), SECRET, "bad_webhook_signature"),
        (BODY, {}, SECRET, "bad_webhook_signature"),
        (BODY, headers(), [], "bad_webhook_secret"),
        (BODY, headers(), "", "bad_webhook_secret"),
        (b"{}", headers(body=b"{}"), SECRET, "bad_webhook_body"),
    ):
        with pytest.raises(UserError) as raised:
            verified_webhook(body, sent, secrets, now_s=NOW)
        assert raised.value.code == code


def test_secrets_are_made_by_a_command_and_changed_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    first = CliRunner().invoke(cli, ["webhook-secret", "--file", str(file)])
    assert first.exit_code == 0, first.output
    assert file.stat().st_mode & 0o777 == 0o600
    second = CliRunner().invoke(cli, ["webhook-secret", "--file", str(file), "--json"])
    newest = json.loads(second.stdout)["secret"]
    known = [one.get_secret_value() for one in read_webhook_secrets(file)]
    assert known == [secret_bytes(newest), secret_bytes(first.stdout.splitlines()[0])]
    third = CliRunner().invoke(cli, ["webhook-secret", "--file", str(file)])
    assert (third.exit_code, "older" in third.output) == (2, True)
    assert len(read_webhook_secrets(file)) == 2
    assert newest not in repr(read_webhook_secrets(file))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# no secret\n",
        "whsec_\n",
        "a long secret that is no base64 at all\n",
        base64.b64encode(bytes(range(32))).decode(),  # without its prefix
        "whsec_" + base64.b64encode(bytes(range(23))).decode(),
        "whsec_" + base64.b64encode(bytes(range(65))).decode(),
        "whsec_" + base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(b"please change this secret soon!!").decode(),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAA",
        f"{SECRET}\n{OLDER}\n{SECRET}\n",
    ],
)
def test_secrets_that_are_missing_short_or_can_be_guessed_are_refused(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UserError) as raised:
        read_webhook_secrets(file)
    assert raised.value.code == "bad_webhook_secret"
    assert text.strip().removeprefix("whsec_") in ("", "# no secret") or (
        text.strip() not in raised.value.sentence
    )


@pytest.mark.parametrize(("mode", "refused"), [(0o600, 0), (0o440, 0), (0o604, 1), (0o620, 1)])
def test_secrets_that_others_can_read_are_refused(mode: int, refused: bool, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# ours\n{SECRET}\n")
    file.chmod(mode)
    if refused:
        with pytest.raises(UserError, match="chmod 600"):
            read_webhook_secrets(file)
    else:
        assert len(read_webhook_secrets(file)) == 1


def settings(*hosts: str, **given: Any) -> WebhookSettings:
    return WebhookSettings(
        hosts=tuple(WebhookHost.parsed(host) for host in hosts), secrets=(b"x" * 32,), **given
    )


ALLOWED = ("hooks.example.org", "other.example.org:8443", "203.0.113.5", "[2001:db8::1]:9000")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://hooks.example.org", "https://hooks.example.org:443/"),
        ("https://HOOKS.example.org:443/A?b=c", "https://hooks.example.org:443/A?b=c"),
        ("https://other.example.org:8443?x", "https://other.example.org:8443/?x"),
        ("https://203.0.113.5/a%2fb", "https://203.0.113.5:443/a%2fb"),
        ("https://[2001:db8::1]:9000/", "https://[2001:db8::1]:9000/"),
    ],
)
def test_receivers_on_the_list_may_be_named(url: str, kept: str) -> None:
    assert str(checked_url(url, settings(*ALLOWED))) == kept
    assert str(checked_url(kept, settings(*ALLOWED))) == kept


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.org/", "bad_webhook_url"),
        ("ftp://hooks.example.org/", "bad_webhook_url"),
        ("hooks.example.org", "bad_webhook_url"),
        ("", "bad_webhook_url"),
        ("https://", "bad_webhook_url"),
        ("https://user@hooks.example.org/", "bad_webhook_url"),
        ("https://@hooks.example.org/", "bad_webhook_url"),
        ("https://hooks.example.org/#part", "bad_webhook_url"),
        ("https://hooks.example.org#", "bad_webhook_url"),
        ("https://hooks.example.org\\@elsewhere.example/", "bad_webhook_url"),
        ("https://hooks.example.org/\r\nX: y", "bad_webhook_url"),
        (" https://hooks.example.org/", "bad_webhook_url"),
        ("https://hooks.example.org/ä", "bad_webhook_url"),
        ("https://hooks.example.org:/", "bad_webhook_url"),
        ("https://hooks.example.org:99999/", "bad_webhook_url"),
        ("https://hooks%2eexample.org/", "bad_webhook_url"),
        ("https://hooks.example.org/" + "a" * 2048, "bad_webhook_url"),
        ("https://hooks.example.org:8443/", "webhook_host_not_allowed"),
        ("https://other.example.org/", "webhook_host_not_allowed"),
        ("https://hooks.example.org./", "webhook_host_not_allowed"),
        ("https://a.hooks.example.org/", "webhook_host_not_allowed"),
        ("https://127.0.0.1/", "webhook_host_not_allowed"),
        ("https://2130706433/", "webhook_host_not_allowed"),
        ("https://[::1]/", "webhook_host_not_allowed"),
        ("https://[::ffff:203.0.113.5]/", "webhook_host_not_allowed"),
    ],
)
def test_other_receivers_are_refused(url: str, code: str) -> None:
    with pytest.raises(UserError) as raised:
        checked_url(url, settings(*ALLOWED))
    assert raised.value.code == code


def test_http_needs_the_option_for_development() -> None:
    assert checked_url("http://127.0.0.1:81/", settings("127.0.0.1:81", insecure=True)).port == 81


@pytest.mark.parametrize(
    "host", ["https://x.org", "x.org/", "u@x.org", "*.x.org", "127.1", "1234", "x:0", "x:y", ""]
)
def test_hosts_that_are_no_hosts_are_refused_at_the_start(host: str) -> None:
    shown = CliRunner().invoke(cli, ["serve", "--dry-run", "--webhook-host", host, "--json"])
    assert (shown.exit_code, "bad_webhook_host" in shown.output) == (2, True)


def test_half_of_the_options_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(SECRET)
    file.chmod(0o600)
    for words in (
        ["--webhook-host", "x.org"],
        ["--webhook-secret-file", str(file)],
        ["--webhook-insecure"],
    ):
        shown = CliRunner().invoke(cli, ["serve", "--dry-run", "--json", *words])
        assert (shown.exit_code, "bad_webhook_options" in shown.output) == (2, True), shown.output
