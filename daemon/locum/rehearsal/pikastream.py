"""PikaStream's public HTTP contract, answered by a `PikaStage`.

The paths, shapes and headers are those of the public client (Pika-Labs/Pika-Skills,
`pikastream-video-meeting`); what it proxies refuses in the words of whoever is behind it,
OpenAI or MiniMax. The statuses and texts of PikaStream's own refusals are plausible guesses.
It is stricter than a client needs: what the public client always sends is required. What a
client doesn't know of the service (its worker, its billing) is in `pikastate`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from locum.rehearsal.face import face_png
from locum.rehearsal.faults import control_routes, with_faults
from locum.rehearsal.pikastate import (
    PRODUCTS,
    BalanceShape,
    Bill,
    Hostile,
    PikaSettings,
    PikaStage,
    ProductShape,
    RefusalError,
    SessionRequest,
    SessionState,
)
from locum.rehearsal.pikavoices import LARGEST_SAMPLE, Code, Refusal
from locum.rehearsal.rooms import StepKind

__all__ = [
    "Bill",
    "Hostile",
    "PikaSettings",
    "PikaStage",
    "RefusalError",
    "SessionState",
    "pikastream_app",
]

_LARGEST_IMAGE = 20 * 1024 * 1024
_SMALLEST_IMAGE = 1024
_MEETING_URLS = {
    "google_meet": re.compile(
        r"https://meet\.google\.com/([a-z]{3}-[a-z]{4}-[a-z]{3})(?:\?.*)?"
    ),
    "zoom": re.compile(r"https://(?:[a-z0-9-]+\.)?zoom\.us/j/(\d{9,11})(?:\?.*)?"),
}
_VOICE_MODEL = "speech-2.8-hd"
_IMAGE_MODELS = frozenset({"gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5"})
_IMAGE_CHOICES = {  # Beside prompt and model; what is left out is OpenAI's default.
    "size": ("1024x1024",),
    "n": (1,),
    "quality": ("auto", "low", "medium", "high"),
    "output_format": ("png",),
}
_LONGEST_PROMPT = 32_000  # OpenAI's, for these models.

Handler = Callable[[Request], Awaitable[Response]]


def pikastream_app(stage: PikaStage) -> Starlette:
    """Serve the account of `stage`, with its faults and its request log around it.

    Other processes script it without a key: `POST /_stage/faults`, `POST /_stage/settings`
    (JSON, fields of `PikaSettings`, durations in seconds), `POST /_stage/rooms` (`kind`,
    `room`, `name`, `text`: what a person does), `GET /_stage/state`.
    """
    api = _Api(stage)
    control = _Control(stage)
    routes = [
        Route("/developer/balance", api.keyed(api.balance)),
        Route("/developer/topup/products", api.keyed(api.products)),
        Route("/developer/topup", api.keyed(api.topup), methods=["POST"]),
        Route("/checkout/{token}", api.checkout),
        Route("/images/{hue:int}.png", api.show_image),
        Route(
            "/proxy/realtime/meeting-session", api.keyed(api.create_session), methods=["POST"]
        ),
        Route("/proxy/realtime/session/{id}", api.keyed(api.show_session), methods=["GET"]),
        Route("/proxy/realtime/session/{id}", api.keyed(api.end_session), methods=["DELETE"]),
        Route(
            "/proxy/openai/v1/images/generations", api.keyed(api.draw_image), methods=["POST"]
        ),
        Route("/proxy/minimax/v1/files/upload", api.keyed(api.upload_voice), methods=["POST"]),
        Route("/proxy/minimax/v1/voice_clone", api.keyed(api.clone_voice), methods=["POST"]),
        Route("/_stage/state", control.show_state),
        Route("/_stage/settings", control.change_settings, methods=["POST"]),
        Route("/_stage/rooms", control.act_in_room, methods=["POST"]),
        *control_routes(stage.faults, stage.log),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={RefusalError: _answer_refusal, HTTPException: _answer_http_error},
    )
    return with_faults(app, stage.faults, stage.log)


class _Api:
    """What the public client calls."""

    def __init__(self, stage: PikaStage) -> None:
        self._stage = stage

    def keyed(self, handler: Handler) -> Handler:
        """Wrap a handler so that it answers only to the account's developer key."""

        async def check_key(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            wanted = f"DevKey {self._stage.settings.api_key}"
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                raise RefusalError(401, "invalid or missing developer key")
            return await handler(request)

        return check_key

    async def balance(self, request: Request) -> Response:
        del request
        settings = self._stage.settings
        if Hostile.BALANCE_NAN in settings.hostile:
            return Response(b'{"data": {"balance": NaN}}', media_type="application/json")
        balance = {"balance": int(self._stage.balance)}
        if settings.balance_shape is BalanceShape.FLAT:
            return JSONResponse(balance)
        return JSONResponse({"data": balance})

    async def products(self, request: Request) -> Response:
        del request
        if self._stage.settings.product_shape is ProductShape.SNAKE:
            products = [
                {"product_id": one.id, "title": one.name, "num_credits": one.credits}
                for one in PRODUCTS
            ]
        else:
            products = [
                {"productId": one.id, "name": one.name, "numCredits": one.credits}
                for one in PRODUCTS
            ]
        return JSONResponse({"data": {"products": products}})

    async def topup(self, request: Request) -> Response:
        payload = await _sent_json(request)
        token = self._stage.open_checkout(_text(payload, "product_id"))
        host = str(request.base_url).rstrip("/")
        if Hostile.CHECKOUT_ELSEWHERE in self._stage.settings.hostile:
            host = "https://pika-art.example.net"
        return JSONResponse({"data": {"checkout_url": f"{host}/checkout/{token}"}})

    async def checkout(self, request: Request) -> Response:
        """Pay at once: on a stage, looking at the page is buying."""
        added = self._stage.pay(request.path_params["token"])
        done = f"{added} credits were added." if added else "This was paid before."
        return HTMLResponse(f"<!doctype html><title>Checkout</title><p>{done}</p>")

    async def create_session(self, request: Request) -> Response:
        async with request.form(max_files=2, max_fields=16) as form:
            wanted = await _session_request(form)
        state = self._stage.create(wanted)
        if Hostile.SESSION_ID in self._stage.settings.hostile:
            return JSONResponse({"session_id": f"../../developer/topup/{state.id}"})
        return JSONResponse({"session_id": state.id})

    async def show_session(self, request: Request) -> Response:
        state = self._stage.session(request.path_params["id"])
        settings = self._stage.settings
        unknown = Hostile.UNKNOWN_STATUS in settings.hostile
        video = "video_connected" if settings.short_video_flag else "video_worker_connected"
        body = {
            "status": "hibernating" if unknown else state.status,
            video: state.video_connected,
            "meeting_bot_connected": state.meeting_connected,
            "error_message": state.error_message,
        }
        return JSONResponse({**body, **self._notes(state)})

    async def end_session(self, request: Request) -> Response:
        state = self._stage.end(request.path_params["id"])
        return JSONResponse({"success": True, **self._notes(state)})

    async def draw_image(self, request: Request) -> Response:
        payload = await _sent_json(request)
        _check_image_call(payload, request)
        hue = zlib.crc32(payload["prompt"].encode("utf-8", "replace")) % 360
        drawn = {"b64_json": base64.b64encode(_portrait(hue)).decode()}
        if self._stage.settings.image_as_url:
            host = str(request.base_url).rstrip("/")
            drawn = {"url": f"{host}/images/{hue}.png"}
        created = int(self._stage.now().timestamp())
        return JSONResponse({"created": created, "data": [drawn]})

    async def show_image(self, request: Request) -> Response:
        """Answer what `image_as_url` pointed to; without a key, as such links are."""
        return Response(_portrait(request.path_params["hue"] % 360), media_type="image/png")

    async def upload_voice(self, request: Request) -> Response:
        async with request.form(max_files=1, max_fields=4) as form:
            upload = form.get("file")
            sound = await _upload(form, "file", LARGEST_SAMPLE)
            purpose = form.get("purpose")
        if purpose != "voice_clone":
            return _minimax(Code.BAD_PARAMETER, "invalid params: purpose must be voice_clone")
        kept = self._stage.keep_sample(sound)
        if isinstance(kept, Refusal):
            return _minimax(kept.code, kept.message)
        file = {
            "file_id": kept,
            "bytes": len(sound),
            "created_at": int(self._stage.now().timestamp()),
            "filename": upload.filename if isinstance(upload, UploadFile) else "",
            "purpose": "voice_clone",
        }
        return _minimax(Code.OK, "success", file=file)

    async def clone_voice(self, request: Request) -> Response:
        payload = await _sent_json(request)
        voice_id = _text(payload, "voice_id")
        if _text(payload, "model") != _VOICE_MODEL:
            return _minimax(Code.BAD_PARAMETER, "invalid params: model")
        if "file_id" not in payload:
            raise _missing("file_id")
        switches = [
            payload.get(name, False)
            for name in ("need_noise_reduction", "need_volume_normalization")
        ]
        if not all(isinstance(each, bool) for each in switches):
            return _minimax(Code.BAD_PARAMETER, "invalid params: a switch is no boolean")
        made = self._stage.clone_voice(
            payload["file_id"], voice_id, noise_reduction=switches[0]
        )
        if isinstance(made, Refusal):
            return _minimax(made.code, made.message)
        return _minimax(Code.OK, "success")

    def _notes(self, state: SessionState) -> dict[str, str]:
        notes = self._stage.settings.give_back_notes
        return {} if notes is None or state.live else {"notes": notes}


class _Control:
    """How other processes look behind the scenes and change what happens."""

    def __init__(self, stage: PikaStage) -> None:
        self._stage = stage
        self._settings: TypeAdapter[PikaSettings] = TypeAdapter(PikaSettings)

    async def show_state(self, request: Request) -> Response:
        del request
        stage = self._stage
        sessions = [_plain(asdict(one)) for one in stage.sessions()]
        return JSONResponse(
            {
                "now": stage.now().isoformat(),
                "balance": float(stage.balance),
                "sessions": sessions,
                "live_sessions": [one for one in sessions if one["ended"] is None],
                "bills": [_plain(asdict(bill)) for bill in stage.bills],
                "voices": [_plain(asdict(voice)) for voice in stage.voices],
                "peak_live": stage.peak_live,
                "peak_in_room": stage.peak_in_room,
                "requests": [_plain(asdict(one)) for one in stage.log.requests],
                "rooms": [_plain(asdict(event)) for event in stage.rooms.log()],
            }
        )

    async def change_settings(self, request: Request) -> Response:
        changes = await _json_object(request)
        try:
            wanted = self._settings.validate_python({**asdict(self._stage.settings), **changes})
            self._stage.configure(**{name: getattr(wanted, name) for name in changes})
        except ValidationError as error:
            raise RefusalError(422, _problems(error)) from None
        return JSONResponse({"changed": sorted(changes)})

    async def act_in_room(self, request: Request) -> Response:
        payload = await _json_object(request)
        kind, room = _text(payload, "kind"), _text(payload, "room")
        name, text = str(payload.get("name", "host")), str(payload.get("text", ""))
        if kind not in {each.value for each in StepKind}:
            known = ", ".join(each.value for each in StepKind)
            raise RefusalError(422, f"unknown kind {kind!r}; there are {known}")
        self._stage.rooms.act(StepKind(kind), room, name, text)
        return JSONResponse({"ok": True})


# ── reading what was sent ────────────────────────────────────────────────────────────────


async def _sent_json(request: Request) -> dict[str, Any]:
    """Read what a client sent, who must say that it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusalError(422, "the body is not JSON: Content-Type must be application/json")
    return await _json_object(request)


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        payload = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RefusalError(422, "the body is not JSON") from None
    if not isinstance(payload, dict):
        raise RefusalError(422, "the body is not a JSON object")
    return payload


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise _missing(name)
    return value


def _missing(name: str) -> RefusalError:
    problem = {"loc": ["body", name], "msg": "Field required", "type": "missing"}
    return RefusalError(422, [problem])


async def _upload(form: FormData, name: str, largest: int) -> bytes:
    upload = form.get(name)
    if not isinstance(upload, UploadFile):
        raise _missing(name)
    if (upload.size or 0) > largest:
        raise RefusalError(413, f"{name} is too large")
    return await upload.read()


def _field(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None


def _required(form: FormData, name: str) -> str:
    value = _field(form, name)
    if not value:
        raise _missing(name)
    return value


async def _session_request(form: FormData) -> SessionRequest:
    image = await _upload(form, "image", _LARGEST_IMAGE)
    if len(image) <= _SMALLEST_IMAGE:
        raise RefusalError(400, "image is too small: more than 1 KB is needed")
    if not _is_image(image):
        raise RefusalError(400, "image can't be decoded: send a PNG or a JPEG")
    platform = _required(form, "platform")
    meet_url = _required(form, "meet_url")
    if platform not in _MEETING_URLS:
        raise RefusalError(422, f"platform must be one of {', '.join(_MEETING_URLS)}")
    match = _MEETING_URLS[platform].fullmatch(meet_url)
    if match is None:
        raise RefusalError(422, f"meet_url is no {platform} address")
    return SessionRequest(
        room=match[1],
        meet_url=meet_url,
        platform=platform,
        bot_name=_required(form, "bot_name"),
        voice_id=_required(form, "voice_id"),
        image_bytes=len(image),
        meeting_password=_field(form, "meeting_password"),
        system_prompt=_field(form, "system_prompt"),
        image_sha256=hashlib.sha256(image).hexdigest(),
    )


def _check_image_call(payload: dict[str, Any], request: Request) -> None:
    prompt = payload.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise RefusalError(400, _openai("Missing required parameter: 'prompt'.", "prompt"))
    if len(prompt) > _LONGEST_PROMPT:
        raise RefusalError(400, _openai("The prompt is too long.", "prompt"))
    model = payload.get("model")
    if model not in _IMAGE_MODELS:
        raise RefusalError(400, _openai(f"The model {model!r} does not exist.", "model"))
    for name, choices in _IMAGE_CHOICES.items():
        if payload.get(name, choices[0]) not in choices:
            raise RefusalError(400, _openai(f"Invalid value for '{name}'.", name))
    for header, wanted in (("X-Generation-Type", "image"), ("X-Model", model)):
        if request.headers.get(header) != wanted:
            raise RefusalError(400, f"the header {header} must be {wanted}")


def _openai(message: str, parameter: str) -> dict[str, Any]:
    """Write what OpenAI's errors hold."""
    return {
        "message": message,
        "type": "invalid_request_error",
        "param": parameter,
        "code": None,
    }


def _is_image(content: bytes) -> bool:
    """Tell whether the header is a PNG's or a JPEG's, with a size in it."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", content, 16)
        return bool(width and height)
    if not content.startswith(b"\xff\xd8"):
        return False
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return bool(width and height)
        at += 2 + length
    return False


# ── answering ────────────────────────────────────────────────────────────────────────────


def _portrait(hue: int) -> bytes:
    return face_png(1024, hue=hue / 360)


def _minimax(code: int, message: str, **more: Any) -> Response:
    """Answer as MiniMax does: always 200, the outcome in `base_resp`."""
    return JSONResponse({**more, "base_resp": {"status_code": code, "status_msg": message}})


async def _answer_refusal(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, RefusalError):
        raise TypeError(f"no refusal: {error!r}")
    ours = error.status in {401, 402, 429, 500} or isinstance(error.detail, dict)
    name = "error" if ours else "detail"
    return JSONResponse({name: error.detail}, status_code=error.status)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer Starlette's own refusals: no such path, a method or a form that isn't right."""
    del request
    if not isinstance(error, HTTPException):
        raise TypeError(f"no HTTP error: {error!r}")
    return JSONResponse({"detail": error.detail}, status_code=error.status_code)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
        for each in error.errors()
    )


def _plain(value: Any) -> Any:
    """Turn instants and credits into what JSON has."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value
