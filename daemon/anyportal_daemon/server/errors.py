"""The one table from the error family to gRPC statuses, with google.rpc details."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NoReturn

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode, aio

from anyportal_core import errors as core
from anyportal_daemon import errors

log = logging.getLogger(__name__)

DOMAIN = "anyportal"
DETAILS_KEY = "grpc-status-details-bin"
MAX_TEXT = 500
"""Characters of each text of a refusal: they travel as metadata, of which clients take 8 KiB in all."""

FIELDS_ROOM = 3000
"""Bytes for the fields at fault; those that do not fit are left out."""

STATUS: dict[type[core.AnyPortalError], StatusCode] = {
    errors.TokenError: StatusCode.UNAUTHENTICATED,
    errors.ScopeError: StatusCode.PERMISSION_DENIED,
    errors.RateError: StatusCode.RESOURCE_EXHAUSTED,
    errors.SilentError: StatusCode.UNAVAILABLE,
    errors.MessageError: StatusCode.INVALID_ARGUMENT,
    errors.BlobError: StatusCode.INVALID_ARGUMENT,
    errors.BlobNotFoundError: StatusCode.NOT_FOUND,
    errors.BlobCorruptError: StatusCode.DATA_LOSS,
    errors.BlobsMissingError: StatusCode.FAILED_PRECONDITION,
    errors.UploadOffsetError: StatusCode.FAILED_PRECONDITION,
    errors.ReadOffsetError: StatusCode.OUT_OF_RANGE,
    errors.DigestError: StatusCode.DATA_LOSS,
    errors.UploadBusyError: StatusCode.ABORTED,
    errors.JobNotFoundError: StatusCode.NOT_FOUND,
    errors.JobStateError: StatusCode.FAILED_PRECONDITION,
    errors.RequestIdError: StatusCode.ALREADY_EXISTS,
    errors.PageTokenError: StatusCode.INVALID_ARGUMENT,
    errors.QuotaError: StatusCode.RESOURCE_EXHAUSTED,
    errors.StartingError: StatusCode.UNAVAILABLE,
    errors.StoppingError: StatusCode.UNAVAILABLE,
    core.DiskFullError: StatusCode.RESOURCE_EXHAUSTED,
    core.InputError: StatusCode.INVALID_ARGUMENT,
    core.RecipeError: StatusCode.INVALID_ARGUMENT,
    core.AnyPortalError: StatusCode.INTERNAL,
}
"""An error has the status of its nearest base that is listed."""


async def abort(context: aio.ServicerContext[Any, Any], error: Exception) -> NoReturn:
    """End an rpc with an error's status and details."""
    if not isinstance(error, core.AnyPortalError):
        log.error("an rpc met a bug", exc_info=error)
        error = Bug(f"a bug in the daemon: {type(error).__name__}", hint="report it with the daemon's log")
    status = to_status(error)
    code = next(code for code in StatusCode if code.value[0] == status.code)
    await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("abort raises")


def to_code(error: core.AnyPortalError) -> StatusCode:
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


class Bug(core.AnyPortalError):
    code = "INTERNAL"


def to_status(error: core.AnyPortalError) -> status_pb2.Status:
    """The status message of an error: ErrorInfo always, BadRequest and RetryInfo where they say something."""
    code = to_code(error)
    facts = error.facts if isinstance(error, errors.Refusal) else {}
    metadata = {key: _short(value) for key, value in (("where", error.where), ("hint", error.hint)) if value}
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata={**metadata, **facts})
    details: list[Any] = [info]
    fields = error.fields if isinstance(error, errors.Refusal) else ()
    if code is StatusCode.INVALID_ARGUMENT and error.where:
        fields = fields or (error.where,)
    if fields:
        details.append(_bad_request(fields, _short(error.message)))
    if isinstance(error, errors.Refusal) and error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code.value[0], message=_short(error.message), details=packed)


def _bad_request(fields: Sequence[str], message: str) -> error_details_pb2.BadRequest:
    """The fields at fault, as many as there is room for; the first says what is wrong with all of them."""
    bad, room = error_details_pb2.BadRequest(), FIELDS_ROOM
    for field in fields:
        name = _short(field)
        room -= len(name.encode()) + 8
        if room < 0:
            break
        bad.field_violations.add(field=name, description="" if bad.field_violations else message)
    return bad


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
