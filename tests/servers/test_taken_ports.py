"""A taken port is refused before anything starts, with its holder's name."""

import os
import socket
from collections.abc import Callable

import pytest

from bandit_runner.errors import PortTaken
from bandit_runner.servers import ports


def test_free_ports_pass(free_port: Callable[[], int]):
    ports.check_free([free_port(), free_port()])


def test_a_taken_port_is_named_with_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is taken by .*pid {os.getpid()}"):
            ports.check_free([port])


def test_a_port_in_time_wait_is_free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first waits
            client.recv(1)
    ports.check_free([port])


def test_airplay_is_named_on_macos(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports.sys, "platform", "darwin")
    monkeypatch.setattr(ports, "holder", lambda _port: None)
    assert "AirPlay" in ports._hint(5000)
    assert "AirPlay" not in ports._hint(4000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_port_that_may_not_be_had_is_not_said_to_be_taken():
    assert ports.obstacle(1) == "may not be listened on (Permission denied)"
