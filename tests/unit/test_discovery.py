"""Daemons announce themselves, and are found. Over loopback, with multicast, as on a network."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from anyportal_client import discovery_list
from anyportal_client.credentials import SavedHost, save
from anyportal_client.discovery import Endpoint, read_daemon_file
from anyportal_client.discovery_list import discovered
from anyportal_client.discovery_mdns import Announced, browse
from anyportal_client.events import DaemonDiscovered, Event, LogLine
from anyportal_daemon.announcing import DEFAULT_PORT, SERVICE, announced, gpu_names
from anyportal_daemon.config import Address
from anyportal_daemon.security.announcement import Announcement
from tests.unit.client_fakes import TOKEN, FakeDaemon
from tests.unit.tls_house import authority

Line = TypeVar("Line", Announced, DaemonDiscovered)

LOOPBACK = ["127.0.0.1"]
SECONDS = 1.5
"""To listen once. Names are probed for most of a second before they are told, and a busy machine takes longer."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only here all of 127.0.0.0/8 is this machine")

HOST = socket.gethostname().partition(".")[0]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(tmp_path / "client.toml"))


@pytest.fixture(scope="module", autouse=True)
def multicast() -> None:
    """Multicast over loopback works here."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as says,
    ):
        hears.bind(("", 0))
        group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
        try:
            hears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            says.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            hears.settimeout(2)
            says.sendto(b"hello", ("224.0.0.251", hears.getsockname()[1]))
            hears.recv(10)
        except OSError as error:
            pytest.skip(f"multicast does not work over loopback here: {error}")


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    fake = FakeDaemon(credentials=authority().serve())
    yield fake
    fake.stop()


async def listen() -> list[Announced]:
    return await browse(SECONDS, LOOPBACK)


async def heard(daemon: FakeDaemon) -> DaemonDiscovered:
    """The daemon's line, once its announcement has been heard."""
    return await patiently(lambda: discovered(SECONDS, LOOPBACK), lambda each: each.name.startswith(HOST), daemon.port)


async def patiently(listen: Callable[[], Awaitable[list[Line]]], right: Callable[[Line], bool], port: int) -> Line:
    """What listening finds at a port, as soon as it is right."""
    for _ in range(10):
        for each in await listen():
            address = each.address if isinstance(each, DaemonDiscovered) else each.addresses[0]
            if address.endswith(f":{port}") and right(each):
                return each
    raise AssertionError("it was never heard")


async def test_a_daemon_is_found_and_its_queue_asked_where_one_is_logged_in(daemon: FakeDaemon) -> None:
    async with announced(Address("127.0.0.1", daemon.port), "1.2.3"):
        stranger = await heard(daemon)
        assert stranger.version == "1.2.3" and stranger.tls and not stranger.logged_in
        assert (stranger.queued_jobs, stranger.note) == (None, "not logged in") and daemon.calls == []
        assert stranger.gpu == (", ".join(gpu_names()) or "cpu")

        save(SavedHost(daemon.address, authority().pem), TOKEN)
        known = await heard(daemon)
        assert known.logged_in and (known.queued_jobs, known.running_jobs) == (0, 0) and known.version == "0.1.0"

    silent = await patiently(lambda: discovered(0.3, LOOPBACK), lambda each: each.name == "127.0.0.1", daemon.port)
    assert silent.logged_in and silent.queued_jobs == 0  # it has said that it goes; it was logged in to
    daemon.stop()
    [gone] = [each for each in await discovered(0.1, LOOPBACK) if each.address == daemon.address]
    assert gone.queued_jobs is None and gone.note


async def test_two_daemons_of_one_machine_have_two_names() -> None:
    usual, other = 29571, 4002
    async with announced(Address("127.0.0.1", usual), "1"), announced(Address("127.0.0.1", other), "1"):
        one, two = [await patiently(listen, lambda each: True, port) for port in (usual, other)]
    assert (one.name, two.name) == (HOST, f"{HOST}-{other}") and one.host == two.host


async def test_what_one_daemon_takes_back_is_not_the_others() -> None:
    """Whoever has heard both still knows the way to the one when the other goes, and comes again, and goes."""
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    async with AsyncZeroconf(interfaces=LOOPBACK) as hears, announced(Address("127.0.0.1", 4005), "1"):
        for _ in range(2):
            async with announced(Address("127.0.0.1", 4006), "1"):
                found = [await patiently(listen, lambda each: True, port) for port in (4005, 4006)]
                infos = [AsyncServiceInfo(SERVICE, f"{each.name}.{SERVICE}") for each in found]
                assert all([await info.async_request(hears.zeroconf, 3000) for info in infos])
            await asyncio.sleep(1.5)  # records that are taken back are known for one second more
            stays = AsyncServiceInfo(SERVICE, infos[0].name)
            assert stays.load_from_cache(hears.zeroconf), "nothing of it is forgotten"
            assert stays.parsed_addresses() == ["127.0.0.1"] and stays.port == 4005
    assert not AsyncServiceInfo(SERVICE, infos[1].name).load_from_cache(hears.zeroconf)


@on_linux
async def test_two_daemons_at_two_addresses_of_one_machine_are_each_found_at_their_own() -> None:
    """Also where both take the usual port's name, at the same moment."""
    both = ["127.0.0.1", "127.0.0.2"]
    one, two = (Address(host, DEFAULT_PORT) for host in both)
    async with announced(one, "1"), announced(two, "1"):
        for _ in range(10):
            ours = {str(one), str(two)}  # another daemon of this machine may be heard, too
            found = [each for each in await browse(SECONDS, both) if set(each.addresses) <= ours]
            if sorted(each.addresses for each in found) == [(str(one),), (str(two),)]:
                break
        else:
            raise AssertionError(found)
    assert len({each.name for each in found}) == 2 and {each.host for each in found} == {f"{HOST}.local"}
    assert all(each.known_as([SavedHost(f"{HOST}:{DEFAULT_PORT}")]) for each in found)


async def test_what_serves_nobody_else_is_not_announced() -> None:
    async with announced(None, "1"):
        assert all(task.get_coro().__name__ != "_announce" for task in asyncio.all_tasks())


HERE = Endpoint("127.0.0.1:4711", "token", "daemon.json", os.getpid(), lan="0.0.0.0:29671")
ANNOUNCED = Announced(HOST, f"{HOST}.local", ("192.0.2.2:29671",), "1", "cpu", True)


@pytest.mark.parametrize("lan", ["0.0.0.0:29671", "192.0.2.2:29671", "[::]:29671"])
@pytest.mark.parametrize("announced", [[ANNOUNCED], []], ids=["announced", "quiet"])
@pytest.mark.parametrize("login", [f"{HOST}:29671", f"{HOST}.studio.lan:29671", "192.0.2.2:29671", ""])
def test_this_machines_own_daemon_is_listed_once_though_it_serves_others_too(
    monkeypatch: pytest.MonkeyPatch, lan: str, announced: list[Announced], login: str
) -> None:
    if login.startswith("192") and not announced and not lan.startswith("192"):
        pytest.skip("nothing says that it is an address of this machine")
    own = replace(HERE, lan=lan)
    monkeypatch.setattr(discovery_list, "read_daemon_file", lambda folder: own)
    saved = [SavedHost(login)] if login else []
    assert list(discovery_list._rows(announced, saved)) == [(announced[0] if announced else None, own)]


def test_other_daemons_are_not_taken_for_this_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery_list, "read_daemon_file", lambda folder: HERE)
    elsewhere = Announced("gpu-box", "gpu-box.local", ("192.0.2.3:29671",), "1", "cpu", True)
    second = Announced(f"{HOST}-2", f"{HOST}.local", ("192.0.2.2:29672",), "1", "cpu", True)
    saved = [SavedHost("gpu-box:29671"), SavedHost(f"{HOST}:29673"), SavedHost("192.0.2.9:29671")]
    rows = list(discovery_list._rows([elsewhere, second], saved))
    addresses = [endpoint.address if endpoint is not None else "" for _, endpoint in rows]
    assert addresses == ["gpu-box:29671", "", f"{HOST}:29673", "192.0.2.9:29671", HERE.address]


def test_where_a_daemon_serves_others_is_read_of_its_file(tmp_path: Path) -> None:
    Announcement("127.0.0.1:4711", "token", 1, "1", "0.0.0.0:29671").write(tmp_path)
    found = read_daemon_file(tmp_path)
    assert found is not None and (found.address, found.lan) == ("127.0.0.1:4711", "0.0.0.0:29671")


async def test_a_network_that_refuses_is_no_reason_not_to_serve(caplog: pytest.LogCaptureFixture) -> None:
    async with announced(Address("192.0.2.1", 4003), "1"):  # no address of this machine
        await asyncio.sleep(0.5)
    assert "does not announce itself" in caplog.text


async def test_who_cannot_listen_is_told_and_sees_what_it_knows(daemon: FakeDaemon) -> None:
    save(SavedHost(daemon.address, authority().pem), TOKEN)
    told: list[Event] = []
    [known] = await discovered(0.2, ["192.0.2.1"], told.append)  # no address of this machine
    assert known.logged_in and known.queued_jobs == 0
    assert isinstance(told[0], LogLine) and "cannot be heard" in told[0].text


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("gpu-box:29571", True),
        ("gpu-box.local:29571", True),
        ("10.0.0.7:29571", True),
        ("gpu-box:29572", False),
        ("gpu-boxes:29571", False),
    ],
)
def test_a_daemon_is_known_by_its_name_or_address(address: str, known: bool) -> None:
    one = Announced("gpu-box", "gpu-box.local", ("10.0.0.7:29571",), "1", "cpu", True)
    assert (one.known_as([SavedHost(address)]) is not None) is known


async def test_what_a_stranger_says_does_nothing_to_a_terminal() -> None:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    async with AsyncZeroconf(interfaces=LOOPBACK) as network:
        info = AsyncServiceInfo(
            "_anyportal._tcp.local.",
            f"bad{os.getpid()}._anyportal._tcp.local.",
            port=4004,
            properties={"version": b"\x1b[31m1\xff", "gpu": b"x" * 250, "tls": b"1"},
            parsed_addresses=["127.0.0.1"],
            server=f"bad{os.getpid()}.local.",
        )
        await (await network.async_register_service(info))
        found = await patiently(listen, lambda each: True, 4004)
    assert "\x1b" not in found.version and len(found.gpu) == 120
