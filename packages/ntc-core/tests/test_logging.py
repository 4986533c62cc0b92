"""Lines as they come out of a real process configured with `build_logging()`."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import subprocess
import sys

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from ntc_core.logging import (
    ConsoleFormatter,
    JSONLinesFormatter,
    build_logging,
    configure_structlog,
)
from ntc_core.request_id import bind_request_id

PHONE = "+255712345678"


def record_of(message, *args, exc_info=None, **extra):
    logger = logging.getLogger("shop")
    return logger.makeRecord(
        "shop", logging.INFO, __file__, 1, message, args, exc_info, extra=extra or None
    )


def json_line(*args, **kwargs):
    return json.loads(JSONLinesFormatter().format(record_of(*args, **kwargs)))


def test_a_json_line_has_the_documented_fields():
    with bind_request_id("checkout-42"):
        line = json_line("payment.settled", reference="P-1", amount_minor=500_000)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "info",
        "logger": "shop",
        "event": "payment.settled",
        "request_id": "checkout-42",
        "reference": "P-1",
        "amount_minor": 500_000,
    }


def test_the_message_is_formatted_before_it_is_printed_and_masked():
    """Lesson 27: `SimpleFormatter` printed `record.message` without formatting first."""
    assert json_line("sent to %s as %d", PHONE, 7)["event"] == "sent to +2557****678 as 7"


def test_arguments_that_do_not_fit_are_not_printed():
    line = json_line("sent to %s", "a", PHONE)

    assert line["event"] == "sent to %s (its arguments do not fit)"


def test_extra_fields_are_masked_and_cannot_replace_ours():
    line = json_line("x", password="hunter2", phone=PHONE, event="mine", level="mine")

    assert (line["password"], line["phone"]) == ("***", "+2557****678")
    assert (line["event"], line["event_"], line["level"]) == ("x", "mine", "info")


def fail_with_secrets():
    raise ValueError(f"cannot reach postgres://u:hunter2@db for {PHONE} asha@example.com")


def test_tracebacks_are_masked():
    try:
        fail_with_secrets()
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())

    for formatter in (JSONLinesFormatter(), ConsoleFormatter()):
        text = formatter.format(record)
        assert "fail_with_secrets" in text
        assert "hunter2" not in text
        assert PHONE not in text
        assert "asha@" not in text


def test_a_traceback_that_another_handler_formatted_is_masked_too():
    record = record_of("failed")
    record.exc_text = f"ValueError: {PHONE}"
    record.stack_info = f"stack of {PHONE}"

    line = json.loads(JSONLinesFormatter().format(record))

    assert line["exception"] == "ValueError: +2557****678"
    assert line["stack"] == "stack of +2557****678"


def test_what_orjson_cannot_write_is_written():
    line = json_line("x", number=2**70, text="\ud800")

    assert (line["number"], line["text"]) == (2**70, "\ud800")


def test_the_console_line_is_one_line():
    with bind_request_id("checkout-42"):
        text = ConsoleFormatter().format(record_of("two\nlines", path="/a\nFAKE", n=1))

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO    two\\nlines  request_id=checkout-42 "
        r"path=/a\\nFAKE n=1  \[shop\]",
        text,
    )
    assert ConsoleFormatter().format(record_of("bare")).endswith("bare  [shop]")


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029])
def test_no_character_ends_a_line_or_steers_a_terminal(code):
    """U+009B begins an escape sequence by itself; U+2028 is a line end to many viewers."""
    hostile = f"a{chr(code)}b"
    record = record_of(hostile, path=hostile)

    for line in (ConsoleFormatter().format(record), JSONLinesFormatter().format(record)):
        assert chr(code) not in line
        assert len(line.splitlines()) == 1
    assert json_line(hostile, path=hostile)["path"] == hostile


@pytest.mark.parametrize("folder", ["file/logs", "file"])
def test_a_log_folder_that_cannot_be_is_named_by_its_variable(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ImproperlyConfigured, match=r"^LOG_DIR is '.*', where .* cannot write\."):
        build_logging(log_dir=tmp_path / folder)


def test_objects_that_django_adds_are_left_out(rf):
    assert "request" not in json_line("x", request=rf.get("/?token=abc"), status_code=500)


PROCESS = """
import logging, logging.config, sys
from django.conf import settings
from ntc_core.logging import build_logging
settings.configure(LOGGING=build_logging({arguments}), INSTALLED_APPS=["ntc_core"], DEBUG=True,
    LOGGING_CONFIG="logging.config.dictConfig", SILENCED_SYSTEM_CHECKS=[])
import django
django.setup()
import structlog
logging.getLogger("shop").info("stdlib %s", "0712345678", extra={{"token": "abc", "n": 1}})
bound = structlog.get_logger("shop").bind(order="O-1")
bound.info("structlog %s", "event", name="x", phone="0712345678")
structlog.get_logger("shop").debug("too low")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("shop").exception("failed")
logging.getLogger("django.request").warning("Not Found: /x")
logging.getLogger("django.server").error("GET /x?token=abc")
logging.getLogger("django").info("from django")
"""


def run_process(arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROCESS.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_process_writes_every_event_once_to_stdout_and_to_the_file(tmp_path):
    """Lesson 27: handlers were added at import, so every line came twice."""
    folder = tmp_path / "new" / "logs"

    lines = run_process(f"level='INFO', json=True, log_dir={str(folder)!r}, project='shop'")

    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == [
        "stdlib +2557****678",
        "structlog event",
        "failed",
        "from django",
    ]
    assert (events[0]["token"], events[0]["n"]) == ("***", 1)
    assert (events[1]["order"], events[1]["name"]) == ("O-1", "x")
    assert events[1]["phone"] == "07****678"
    assert "ZeroDivisionError" in events[2]["exception"]
    assert (folder / "shop.log").read_text().splitlines() == lines


def test_a_development_process_writes_for_people():
    lines = run_process("level='DEBUG', json=False")

    assert lines[0].endswith("INFO    stdlib +2557****678  token=*** n=1  [shop]")
    assert any("DEBUG   too low" in line for line in lines)


def test_a_project_s_own_structlog_is_left_alone():
    before = structlog.get_config()
    configure_structlog()

    assert structlog.get_config() == before


@pytest.fixture
def request_lines(caplog):
    caplog.set_level(logging.DEBUG, logger="ntc_core.request")

    def lines():
        return [record for record in caplog.records if record.name == "ntc_core.request"]

    return lines


def test_a_request_is_one_line_without_its_query(request_lines):
    Client().get("/api/v1/hello/?token=abc")

    (line,) = request_lines()
    assert (line.levelname, line.getMessage()) == ("INFO", "request.finished")
    assert (line.method, line.path, line.status) == ("GET", "/api/v1/hello/", 200)
    assert 0 <= line.duration_ms < 5000
    assert line.user is None


@pytest.mark.django_db
def test_the_line_names_the_user_of_a_token_and_of_a_session(
    request_lines, signed_in_client, user, django_assert_num_queries
):
    signed_in_client.get("/api/v1/secret/")
    browser = Client()
    browser.force_login(user)
    browser.get("/admin/login/")
    with django_assert_num_queries(0):
        browser.get("/pages/form/")

    by_token, by_session, unasked = request_lines()
    assert by_token.user == by_session.user == str(user.pk)
    assert unasked.user is None


def test_a_path_is_cut_and_masked_in_its_line(request_lines):
    """The caller chooses it, and may put anybody's number where the line is cut."""
    Client().get(f"/api/v1/0712345678/{'a' * 265}/0712345678/{'_' * 4000}")

    (line,) = request_lines()
    assert line.path == f"/api/v1/+2557****678/{'a' * 265}/+2557****678…"
    assert len(line.path) == 300


def test_health_is_quiet_until_it_fails(request_lines, settings):
    Client().get("/health/live/")
    Client().post("/health/live/")

    quiet, failed = request_lines()
    assert (quiet.levelname, failed.levelname) == ("DEBUG", "INFO")


def test_the_setting_can_be_given_to_dictconfig_as_it_is():
    logging.config.DictConfigurator(build_logging())


def test_a_proxy_that_is_not_configured_is_told_of_once(caplog, settings):
    """Behind TLS every request would be redirected for ever, and nothing else says why."""
    settings.SECURE_SSL_REDIRECT = True
    client = Client()
    for _ in range(3):
        client.get("/api/v1/hello/", headers={"X-Forwarded-Proto": "https"})

    (line,) = [line for line in caplog.records if line.msg == "request.proxy_not_trusted"]
    assert line.levelname == "ERROR"
    assert "NTC_TRUSTED_PROXY_COUNT" in line.hint


@pytest.mark.parametrize(("count", "headers"), [(1, {"X-Forwarded-Proto": "https"}), (0, {})])
def test_without_a_surprising_proxy_nothing_is_told(caplog, settings, count, headers):
    settings.NTC_TRUSTED_PROXY_COUNT = count

    Client().get("/api/v1/hello/", headers=headers)

    assert "request.proxy_not_trusted" not in {line.msg for line in caplog.records}
