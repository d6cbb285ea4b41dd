"""What PikaStream may answer, and what we make of it: hostile answers give clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.secret import Secret
from locum.engines import pikastream_answers as answers
from locum.engines.http import base_url_problem
from locum.engines.pikastream_answers import SessionStatus, UnreadableError
from locum.engines.pikastream_key import find_key, key_file_problem
from locum.errors import HumanNeededError

thousand = settings(derandomize=True, max_examples=1000, deadline=None)

nasty: st.SearchStrategy[object] = st.sampled_from(
    [
        *(None, True, 0, -1, 1e308, float("nan"), float("-inf"), 10**400, -(10**20)),
        *(
            "",
            "x" * 500,
            "half \ud83d",
            "\x1b[2J\u202e",
            "ready",
            "error",
            "sess_1",
            "..",
            "12",
        ),
        *("https://pay.example.com/", "https://[", [], {}, [[]], [{"text": "a"}], {"data": []}),
        *([{"productId": "p", "numCredits": 1}, {"productId": 1}], {"message": "\n"}),
    ]
)
KNOWN_KEYS = (
    "data",
    "balance",
    "products",
    "checkout_url",
    "session_id",
    "status",
    "video_connected",
    "meeting_bot_connected",
    "error_message",
    "detail",
    "notes",
    "transcript",
    "base_resp",
    "file",
)
members = st.lists(st.tuples(st.sampled_from(KNOWN_KEYS), nasty), max_size=3).map(dict)
bodies = st.binary(max_size=40) | (
    (members | members.map(lambda inner: {"data": inner})).map(lambda m: json.dumps(m).encode())
)

BOMBS = (
    b"",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[1, 2]",
    b"null",
    b"NaN",
    b"\xff\xfe",
    b"<html>down</html>",
    b'{"balance": Infinity}',
    b'{"balance": 1' + b"0" * 10_000 + b"}",
)


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def complaint_of(reader: Callable[[bytes], object], raw: bytes) -> str:
    try:
        reader(raw)
    except UnreadableError as error:
        return str(error)
    return ""


# ── anything at all ──────────────────────────────────────────────────────────────────────


@thousand
@given(bodies)
def test_no_answer_can_raise_anything_but_unreadable(raw: bytes) -> None:
    """Whatever comes: a value or one printable complaint, and notes that can be written."""
    for reader in (
        answers.parse_object,
        answers.read_balance,
        answers.read_products,
        answers.read_checkout_url,
        answers.read_session_id,
        answers.read_state,
        answers.read_image,
        answers.read_base_resp,
        answers.read_file_id,
    ):
        told = complaint_of(reader, raw)
        assert len(told) < 300
        assert told.isprintable()
    told = answers.quote_detail(raw)
    assert told.isprintable()
    assert len(told) <= answers.LONGEST_DETAIL
    for note in answers.harvest_notes(raw, "body"):
        assert note.text.encode("utf-8")


@pytest.mark.parametrize("raw", BOMBS, ids=range(len(BOMBS)))
def test_bombs_are_unreadable(raw: bytes) -> None:
    """Nesting, NaN, endless numbers and other people's pages are named, not obeyed."""
    with pytest.raises(UnreadableError):
        answers.read_balance(raw)
    assert answers.harvest_notes(raw, "body") == ()


def test_what_json_doesn_t_have_is_named() -> None:
    """The complaint about NaN speaks of NaN."""
    with pytest.raises(UnreadableError, match=r"^NaN is no JSON number$"):
        answers.read_balance(b'{"balance": NaN}')


# ── balance, products, checkout ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (body(balance=250), 250),
        (body(data={"balance": 250}), 250),
        (body(balance=12.5), 12.5),
        (body(balance="99"), 99),
        (body(balance=-3), -3),
        (body(balance=0), 0),
    ],
)
def test_balances_in_every_shape(raw: bytes, left: float) -> None:
    """Both shapes of the public client are read, and numbers written as texts."""
    assert answers.read_balance(raw) == left


@pytest.mark.parametrize("value", [None, True, [], {}, "", "nan", "inf", "1e400", "x", 10**300])
def test_what_is_no_balance(value: object) -> None:
    """A balance decides over money: only a finite number is one."""
    with pytest.raises(UnreadableError, match="balance is"):
        answers.read_balance(body(balance=value))


def test_the_smallest_product_comes_first() -> None:
    """Malformed packages are left out, the rest is in the order of credits."""
    raw = body(
        data={
            "products": [
                {"productId": "big", "numCredits": 5000},
                {"productId": "", "numCredits": 1},
                {"productId": "odd", "numCredits": "many"},
                "?",
                {"productId": "small", "name": "S", "numCredits": 1000},
            ]
        }
    )
    assert [product.product_id for product in answers.read_products(raw)] == ["small", "big"]


def test_products_in_both_spellings() -> None:
    """Versions of the public client read one each, so nobody knows which comes."""
    raw = body(products=[{"product_id": "pack_1", "title": "Small", "num_credits": 1000}])
    assert answers.read_products(raw) == (answers.Product("pack_1", 1000),)


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "pay here",
        "javascript:alert(1)",
        "http://pay.example.com/x",
        "https:///x",
        "https://pika.art@evil.test/x",
        "https://[::1",
        "https://pay.example.com/\u202egro",
        "https://pay.example.com/\x1b[2J",
        "https://pay.example.com/" + "x" * 2000,
    ],
)
def test_what_is_no_link(url: object) -> None:
    """A person is asked to pay there: what isn't plainly an https link isn't shown."""
    with pytest.raises(UnreadableError, match="checkout_url"):
        answers.read_checkout_url(body(data={"checkout_url": url}))


def test_a_link_is_shown_as_it_is() -> None:
    """Another host than the service's is normal: payments are somebody else's trade."""
    url = "https://checkout.stripe.com/c/pay/cs_1#abc"
    assert answers.read_checkout_url(body(data={"checkout_url": url})) == url


# ── sessions ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["sess_1", "A-b.c:d", "x" * 200, 42])
def test_session_ids(value: object) -> None:
    """Whatever stands safely in one segment of an address is taken."""
    assert answers.read_session_id(body(session_id=value)) == str(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        1.5,
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a%2fb",
        "a b",
        "a\n",
        "é",
        "x" * 201,
        [],
    ],
)
def test_what_is_no_session_id(value: object) -> None:
    """An id that would change the address it is put into is refused."""
    with pytest.raises(UnreadableError, match="session_id is"):
        answers.read_session_id(body(session_id=value))


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, SessionStatus.PREPARING),
        ({"status": "starting"}, SessionStatus.PREPARING),
        ({"status": "hibernating"}, SessionStatus.PREPARING),
        ({"status": 1}, SessionStatus.PREPARING),
        ({"status": "ready"}, SessionStatus.READY),
        ({"status": " READY "}, SessionStatus.READY),
        ({"data": {"status": "ready"}}, SessionStatus.READY),
        ({"meeting_bot_connected": True}, SessionStatus.PREPARING),
        ({"meeting_bot_connected": True, "video_connected": True}, SessionStatus.READY),
        ({"meeting_bot_connected": True, "video_worker_connected": True}, SessionStatus.READY),
        ({"meeting_bot_connected": "true", "video_connected": 1}, SessionStatus.PREPARING),
        ({"status": "error"}, SessionStatus.FAILED),
        (
            {"status": "error", "meeting_bot_connected": True, "video_connected": True},
            SessionStatus.FAILED,
        ),
        ({"status": "closed"}, SessionStatus.CLOSED),
    ],
)
def test_states(members: dict[str, object], status: SessionStatus) -> None:
    """Ready, error and closed are known; the flags must be true and nothing like it."""
    assert answers.read_state(body(**members)).status is status


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Hello.", "Hello."),
        ("  ", None),
        (["a", " b ", "", 3], "a\nb"),
        ([{"speaker": "Ada", "text": "Hi"}, {"text": "Yo"}, {"speaker": "x"}], "Ada: Hi\nYo"),
        ({"text": "Hi"}, None),
        (7, None),
        ("half \ud83d", "half ?"),
    ],
)
def test_notes_in_every_shape(value: object, text: str | None) -> None:
    """Texts, lists of texts and lists of speakers are kept; anything else isn't guessed at."""
    notes = answers.harvest_notes(body(notes=value), "body")
    assert [note.text for note in notes] == ([] if text is None else [text])


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (body(detail="no\tvoice\x1b[1m"), "no voice [1m"),
        (body(error={"message": "quota"}), "quota"),
        (body(detail=[{"msg": "missing"}]), '{"detail": [{"msg": "missing"}]}'),
        (b"<h1>Bad\r\nGateway</h1>", "<h1>Bad Gateway</h1>"),
        (b"\xff\xfe", "��"),
        (b"", ""),
    ],
)
def test_details_are_quoted(raw: bytes, told: str) -> None:
    """The service's own words stand in the error, on one line."""
    assert answers.quote_detail(raw) == told


# ── keys and secrets ─────────────────────────────────────────────────────────────────────


def test_a_secret_shows_nothing() -> None:
    """Neither printing nor formatting nor pickling gives the text away."""
    secret = Secret("dk_abc")
    assert "abc" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "dk_abc"
    assert secret.scrub("you sent dk_abc!") == "you sent [redacted]!"
    with pytest.raises(TypeError, match="never pickled"):
        secret.__reduce__()


def test_the_key_s_places_in_order(tmp_path: Path) -> None:
    """A named file, then systemd's credential, then the variable."""
    named = tmp_path / "named"
    named.write_text("\n dk_file \n")
    (tmp_path / "pika_dev_key").write_text("dk_credential")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PIKA_DEV_KEY": " dk_variable\n"}
    assert find_key(named, environ).reveal() == "dk_file"
    assert find_key(None, environ).reveal() == "dk_credential"
    (tmp_path / "pika_dev_key").unlink()
    assert find_key(None, environ).reveal() == "dk_variable"


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """The key of another account must not take its place."""
    with pytest.raises(HumanNeededError, match="absent can't be read: No such file"):
        find_key(tmp_path / "absent", {"PIKA_DEV_KEY": "dk_variable"})


@pytest.mark.parametrize("text", ["", "sk_canary", "dk_", "dk_can ary", "dk_canary\x00", "é"])
def test_what_is_no_key_is_not_quoted(tmp_path: Path, text: str) -> None:
    """It may be a good key with a slip: the error says where it stands and not what."""
    key_file = tmp_path / "key"
    key_file.write_text(text)
    with pytest.raises(HumanNeededError, match="not a PikaStream key") as caught:
        find_key(key_file, {})
    assert "ary" not in repr(caught.value) + str(caught.value)
    assert str(key_file) in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "open_to_all"), [(0o600, False), (0o640, False), (0o644, True)]
)
def test_an_open_key_file_is_noticed(tmp_path: Path, mode: int, *, open_to_all: bool) -> None:
    """A group's reading may be meant; everybody's never is."""
    key_file = tmp_path / "key"
    key_file.touch()
    key_file.chmod(mode)
    assert (key_file_problem(key_file) is not None) == open_to_all


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://x.test:8443/v1/",
        "http://127.0.0.1:80",
        "http://[::1]",
    ],
)
def test_addresses_that_may_be_used(url: str) -> None:
    """Https anywhere, http on loopback."""
    assert base_url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.test",
        "https://x:99999",
        "https://[",
        "https://a@b",
    ],
)
def test_addresses_that_may_not(url: str) -> None:
    """Everything else says what is wrong with it."""
    assert base_url_problem(url)
