"""What the daemon refuses, and why. ``server/errors.py`` holds the one table that turns them into gRPC statuses.

AnyPortalError
├── NoDaemonError               UNREACHABLE         no daemon of this machine can be asked or told something
├── StartError                  the daemon cannot start
│   ├── ConfigError             CONFIG              a key of the configuration is wrong
│   ├── AddressError            ADDRESS             an address it will not serve on
│   ├── AddressInUseError       ADDRESS_IN_USE      another program has the port
│   ├── UnsafeError             UNSAFE              other machines could reach it, and nothing keeps strangers out
│   ├── CertificateError        CERTIFICATE         a certificate or key is missing, spoilt, expired or there already
│   ├── UserError               USER                no such user, or there is one already
│   └── StateInUseError         STATE_IN_USE        another daemon has the state directory
├── Refusal                     an rpc is refused
│   ├── TokenError              TOKEN               no token, or a wrong one
│   ├── ScopeError              SCOPE               the user has not the scope for it
│   ├── RateError               RATE                too many calls, or too many wrong tokens, in too short a time
│   ├── SilentError             SILENT              nothing has come of a call, or was taken of it, for a long time
│   ├── MessageError            MESSAGE             bytes that are no message of the rpc, or more than it takes
│   ├── BlobError               BLOB                a malformed blob, or more bytes than announced
│   ├── BlobNotFoundError       BLOB_NOT_FOUND      no such blob, or another user's
│   ├── BlobCorruptError        BLOB_CORRUPT        the stored bytes are damaged
│   ├── BlobsMissingError       BLOBS_MISSING       a job's inputs are not all there
│   ├── UploadOffsetError       OFFSET              not the committed size of an upload
│   ├── ReadOffsetError         OFFSET              beyond the end of a blob
│   ├── DigestError             DIGEST              the bytes are not those announced
│   ├── UploadBusyError         UPLOAD_BUSY         another call writes the same upload
│   ├── JobNotFoundError        JOB_NOT_FOUND       no such job, or another user's
│   ├── JobStateError           JOB_STATE           not in the job's present state
│   ├── RequestIdError          REQUEST_ID          the id was used for another job
│   ├── QuotaError              QUOTA               the user has too many jobs waiting
│   ├── PageTokenError          PAGE_TOKEN          not a token that ListJobs gave
│   ├── StartingError           STARTING            the worker is not ready yet
│   └── StoppingError           STOPPING            the daemon is going down
│       └── DrainingError       DRAINING            it takes no more jobs, and goes down when those that run are done
└── WorkerError                 a running job ended with its worker
    ├── WorkerLostError         WORKER_LOST         several worker processes died under it
    ├── MemoryLimitError        MEMORY_LIMIT        it took more of the machine's memory than it may
    └── TimeLimitError          TIME_LIMIT          it ran longer than it may
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyportal_core.errors import AnyPortalError


class NoDaemonError(AnyPortalError):
    code = "UNREACHABLE"


class StartError(AnyPortalError):
    code = "START"


class ConfigError(StartError):
    code = "CONFIG"


class AddressError(StartError):
    code = "ADDRESS"


class AddressInUseError(StartError):
    code = "ADDRESS_IN_USE"


class StateInUseError(StartError):
    code = "STATE_IN_USE"


class UnsafeError(StartError):
    code = "UNSAFE"


class CertificateError(StartError):
    code = "CERTIFICATE"


class UserError(StartError):
    code = "USER"


class Refusal(AnyPortalError):
    """An rpc is refused.

    Args:
        facts: for programs, beside ``where`` and ``hint`` in the ErrorInfo's metadata.
        fields: the fields at fault, when there are more than the one ``where`` names.
    """

    code = "REFUSED"
    retry_after: float | None = None
    """Seconds after which a retry may succeed; None: a retry as it is will not."""

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        facts: Mapping[str, str] | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.facts = dict(facts or {})
        self.fields = tuple(fields)


class TokenError(Refusal):
    code = "TOKEN"


class ScopeError(Refusal):
    code = "SCOPE"


class RateError(Refusal):
    """Too much in too short a time.

    Args:
        wait: seconds until it would be let through.
    """

    code = "RATE"

    def __init__(self, message: str, wait: float = 1.0, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.retry_after = wait


class SilentError(Refusal):
    code = "SILENT"
    retry_after = 0.5


class MessageError(Refusal):
    code = "MESSAGE"


class BlobError(Refusal):
    code = "BLOB"


class BlobNotFoundError(Refusal):
    code = "BLOB_NOT_FOUND"


class BlobCorruptError(Refusal):
    code = "BLOB_CORRUPT"


class BlobsMissingError(Refusal):
    code = "BLOBS_MISSING"


class UploadOffsetError(Refusal):
    code = "OFFSET"


class ReadOffsetError(Refusal):
    code = "OFFSET"


class DigestError(Refusal):
    code = "DIGEST"


class UploadBusyError(Refusal):
    code = "UPLOAD_BUSY"
    retry_after = 0.5


class JobNotFoundError(Refusal):
    code = "JOB_NOT_FOUND"


class JobStateError(Refusal):
    code = "JOB_STATE"


class RequestIdError(Refusal):
    code = "REQUEST_ID"


class PageTokenError(Refusal):
    code = "PAGE_TOKEN"


class QuotaError(Refusal):
    code = "QUOTA"
    retry_after = 10.0


class StartingError(Refusal):
    code = "STARTING"
    retry_after = 0.5


class StoppingError(Refusal):
    code = "STOPPING"
    retry_after = 5.0


class DrainingError(StoppingError):
    code = "DRAINING"
    retry_after = 30.0


class WorkerError(AnyPortalError):
    code = "WORKER"


class WorkerLostError(WorkerError):
    code = "WORKER_LOST"


class MemoryLimitError(WorkerError):
    code = "MEMORY_LIMIT"


class TimeLimitError(WorkerError):
    code = "TIME_LIMIT"
