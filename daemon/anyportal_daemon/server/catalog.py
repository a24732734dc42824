"""CatalogService: what the daemon can do, from what its worker reported."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format, struct_pb2

from anyportal.v1 import catalog_pb2, catalog_pb2_grpc
from anyportal.v1.jobs_pb2 import Job
from anyportal_core import settings
from anyportal_core.models import Models
from anyportal_core.registry import OPTIONAL_ROLES, ROLES, Catalogue, PluginSpec
from anyportal_daemon.errors import JobNotFoundError
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.users import Principal, calling
from anyportal_daemon.server.guard import Context
from anyportal_daemon.server.threads import in_thread
from anyportal_daemon.storage.blobs import CHUNK
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.supervisor import WorkerStatus
from anyportal_daemon.worker.workers import Workers

MEASURED = 16 * 1024 * 1024
"""Random bytes that a call to measure the network gets at most."""

_STATES = {
    "starting": catalog_pb2.Worker.STARTING,
    "ready": catalog_pb2.Worker.READY,
    "busy": catalog_pb2.Worker.BUSY,
    "draining": catalog_pb2.Worker.DRAINING,
    "dead": catalog_pb2.Worker.DEAD,
}


class CatalogService(catalog_pb2_grpc.CatalogServiceServicer):
    """See catalog.proto."""

    def __init__(
        self,
        workers: Workers,
        journal: Journal,
        state: Path,
        version: str,
        models: Models,
        folders: SharedFolders,
    ) -> None:
        self._workers, self._journal, self._state, self._version = workers, journal, state, version
        self._models, self._mappings = models, folders.names()

    async def GetDaemon(self, request: catalog_pb2.GetDaemonRequest, context: Context) -> catalog_pb2.Daemon:
        return await in_thread(self._daemon, calling())

    def _daemon(self, principal: Principal) -> catalog_pb2.Daemon:
        broken = self._workers.catalogue.broken
        return catalog_pb2.Daemon(
            version=self._version,
            platform=platform.platform(),
            workers=[self._worker(status, principal) for status in self._workers.statuses],
            queued_jobs=self._journal.count(Job.QUEUED),
            running_jobs=self._journal.count(Job.RUNNING),
            free_disk_bytes=shutil.disk_usage(self._state).free,
            broken_plugins=broken,
            mappings=self._mappings,
            draining=self._workers.resting,
            user=principal.user,
            scopes=sorted(scope for scope in Scope if principal.may(scope)),
        )

    def _worker(self, status: WorkerStatus, principal: Principal) -> catalog_pb2.Worker:
        job = status.job if status.job and self._is_seen(status.job, principal) else ""
        return _worker(replace(status, job=job))

    def _is_seen(self, job: str, principal: Principal) -> bool:
        """Whether somebody may know of a job, by its name."""
        try:
            return principal.sees_all or self._journal.user_of(job.removeprefix("jobs/")) == principal.user
        except JobNotFoundError:
            return False

    async def Measure(
        self, request: catalog_pb2.MeasureRequest, context: Context
    ) -> AsyncIterator[catalog_pb2.MeasureResponse]:
        piece = os.urandom(CHUNK)
        for at in range(0, min(request.size_bytes, MEASURED), CHUNK):
            yield catalog_pb2.MeasureResponse(data=piece[: request.size_bytes - at])

    async def ListPresets(
        self, request: catalog_pb2.ListPresetsRequest, context: Context
    ) -> catalog_pb2.ListPresetsResponse:
        catalogue = self._workers.catalogue
        presets = [_preset(name, table, catalogue) for name, table in sorted(catalogue.presets.items())]
        return catalog_pb2.ListPresetsResponse(presets=presets)

    async def ListPlugins(
        self, request: catalog_pb2.ListPluginsRequest, context: Context
    ) -> catalog_pb2.ListPluginsResponse:
        specs = self._workers.catalogue.plugins.values()
        wanted = [spec for spec in specs if request.role in ("", spec.role)]
        plugins = [_plugin(spec) for spec in sorted(wanted, key=lambda spec: (ROLES.index(spec.role), spec.name))]
        return catalog_pb2.ListPluginsResponse(plugins=plugins)

    async def ListModels(
        self, request: catalog_pb2.ListModelsRequest, context: Context
    ) -> catalog_pb2.ListModelsResponse:
        return await in_thread(self._list_models)

    def _list_models(self) -> catalog_pb2.ListModelsResponse:
        specs = self._workers.catalogue.plugins.values()
        names = sorted({name for spec in specs for name in spec.models})
        users = {name: sorted(spec.name for spec in specs if name in spec.models) for name in names}
        return catalog_pb2.ListModelsResponse(models=[_model(name, users[name], self._models) for name in names])


def _worker(status: WorkerStatus) -> catalog_pb2.Worker:
    worker = catalog_pb2.Worker(
        device=status.device,
        state=_STATES[status.state],
        job=status.job,
        process_id=status.pid,
        trouble=status.trouble,
        memory_bytes=status.memory_bytes,
        name=status.name,
    )
    if status.beat_at:
        worker.heartbeat_time.FromNanoseconds(int(status.beat_at * 1e9))
    return worker


def _model(name: str, plugins: list[str], models: Models) -> catalog_pb2.Model:
    size = models.size(name)
    return catalog_pb2.Model(
        name=name,
        plugins=plugins,
        revision=models.revision(name) if size else "",
        size_bytes=size,
        location=str(models.place(name)),
        available=size > 0,
    )


def _preset(name: str, table: Mapping[str, Any], catalogue: Catalogue) -> catalog_pb2.Preset:
    roles = struct_pb2.Struct()
    json_format.ParseDict({key: value for key, value in table.items() if isinstance(value, Mapping)}, roles)
    named = {
        role: table.get(role, {}).get("plugin", "") for role in ROLES if role in table or role not in OPTIONAL_ROLES
    }
    absent = [f"{role}: {plugin}" for role, plugin in named.items() if plugin not in catalogue.plugins]
    background = catalogue.plugins.get(named["background"])
    return catalog_pb2.Preset(
        name=name,
        summary=table.get("summary", ""),
        roles=roles,
        backdrops=background.backdrops if background else (),
        unavailable=f"plug-ins that are not installed: {', '.join(absent)}" if absent else "",
    )


def _plugin(spec: PluginSpec) -> catalog_pb2.Plugin:
    return catalog_pb2.Plugin(
        name=spec.name,
        role=spec.role,
        version=spec.version,
        summary=spec.summary,
        settings=[_setting(setting) for setting in spec.settings],
    )


def _setting(setting: settings.Setting) -> catalog_pb2.Setting:
    return catalog_pb2.Setting(
        name=setting.name,
        kind=setting.kind,
        default_value=_value(setting.default),
        help=setting.help,
        minimum=setting.minimum,
        maximum=setting.maximum,
        choices=setting.choices,
        animated=setting.animated,
    )


def _value(value: settings.Scalar) -> struct_pb2.Value:
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return struct_pb2.Value(number_value=value)
