"""gRPC's failures as errors for people: the one place that reads a status and its details."""

from __future__ import annotations

from typing import TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from anyportal_client.discovery import START_HINT
from anyportal_client.errors import ClientError, InternalError, error_of

Detail = TypeVar("Detail", bound=Message)

_CODES = {
    grpc.StatusCode.UNAVAILABLE: "UNREACHABLE",
    grpc.StatusCode.CANCELLED: "UNREACHABLE",
    grpc.StatusCode.DEADLINE_EXCEEDED: "TIMEOUT",
    grpc.StatusCode.UNAUTHENTICATED: "TOKEN",
    grpc.StatusCode.PERMISSION_DENIED: "TOKEN",
    grpc.StatusCode.UNIMPLEMENTED: "INCOMPATIBLE",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "STORAGE",
    grpc.StatusCode.NOT_FOUND: "JOB_NOT_FOUND",
}
"""The code of a status that carries no ErrorInfo: something else than a daemon answered, or nobody did."""

_PLAIN = {
    "UNREACHABLE": ("the daemon cannot be reached", f"is it running? {START_HINT}"),
    "TIMEOUT": ("the daemon does not answer in time", "look at its log, or restart it"),
    "TOKEN": ("the daemon does not know this token", "use the token of its daemon.json: set ANYPORTAL_TOKEN"),
    "INCOMPATIBLE": ("the daemon does not speak this client's protocol", "install the same version on both sides"),
    "JOB_NOT_FOUND": ("there is no such job", "see which there are: anyportal jobs"),
}
"""What to say in place of gRPC's own words, and the hint where the daemon gives none."""


def _detail(error: grpc.aio.AioRpcError, kind: type[Detail]) -> Detail | None:
    """The first google.rpc detail of a kind."""
    try:
        status: status_pb2.Status | None = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:  # the details contradict the status: not one of ours
        return None
    for packed in status.details if status is not None else ():
        found = kind()
        if packed.Is(found.DESCRIPTOR) and packed.Unpack(found):
            return found
    return None


def reason(error: grpc.aio.AioRpcError) -> str:
    """ErrorInfo's reason, or an empty text."""
    info = _detail(error, error_details_pb2.ErrorInfo)
    return str(info.reason) if info is not None else ""


def metadata(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """ErrorInfo's metadata."""
    info = _detail(error, error_details_pb2.ErrorInfo)
    return dict(info.metadata) if info is not None else {}


def retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """The seconds that the daemon asks to wait before a retry."""
    info = _detail(error, error_details_pb2.RetryInfo)
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9) if info is not None else None


def translate(error: grpc.aio.AioRpcError, address: str, job: str = "", logged_in: bool = False) -> ClientError:
    """The error for a person; `address` is where the call went, `logged_in` how the token was come by."""
    said = metadata(error)
    code = reason(error) or _CODES.get(error.code(), "INTERNAL")
    message, hint = _PLAIN.get(code, ("", ""))
    if code == "INTERNAL":
        message = f"the daemon failed: {error.details() or error.code().name}"
        hint = "look at the daemon's log and report this"
    elif job and code in ("UNREACHABLE", "TIMEOUT"):
        hint = _goes_on(job)
    elif reason(error) and (code != "TOKEN" or said.get("token")):  # it was good once: expired, or revoked
        message = error.details() or message
    where = said.get("where") or _field(error) or ("" if job and code != "UNREACHABLE" else address)
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        where = address  # a person knows the daemon, and not the header that its word is about
        if logged_in:
            hint = f"ask whoever runs it for a new one, and log in with it: anyportal login {address}"
    if code != "TOKEN":  # what the daemon says of tokens is for those who speak gRPC themselves
        hint = said.get("hint") or hint
    return error_of(code, message or code, where=where, hint=hint, job=job, otherwise=InternalError)


def unreachable(address: str, job: str = "") -> ClientError:
    """The error for who has waited for a daemon that stayed away."""
    message, hint = _PLAIN["UNREACHABLE"]
    return error_of("UNREACHABLE", message, where=address, hint=_goes_on(job) if job else hint, job=job)


def _goes_on(job: str) -> str:
    return f"{job} goes on by itself when the daemon is back (anyportal serve); then: anyportal fetch {job} --out DIR"


def _field(error: grpc.aio.AioRpcError) -> str:
    request = _detail(error, error_details_pb2.BadRequest)
    return str(request.field_violations[0].field) if request and request.field_violations else ""
