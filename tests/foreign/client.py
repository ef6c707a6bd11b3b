"""A client that knows nothing of this project: it asks both services which calls there are, and
how they are, and calls some of them.

client.py FOLDER: FOLDER has the programs. They are asked as the pair that `edge-ledger up` is, and
as two services of their own on a Redis that is started for it.
"""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

DEADLINE_S = 20
LOOK_EVERY_S = 0.02
STARTS_MAX = 20
HEALTH = health_pb2.HealthCheckResponse
IDENTITY = "edgeledger.identity.v1.IdentityService"
LEDGER = "edgeledger.ledger.v1.LedgerService"
SIGNAL = "edgeledger.signal.v1.SignalService"
# What a process serves, by its first service.
BESIDE = {IDENTITY: {IDENTITY, SIGNAL}, LEDGER: {LEDGER}}


class Service:
    """One service at an address, as reflection describes it."""

    def __init__(self, address, name):
        self.channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self.channel).result(timeout=DEADLINE_S)
        self.name = name
        self.health = health_pb2_grpc.HealthStub(self.channel)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.listed = set(database.get_services())
        self.described = DescriptorPool(database).FindServiceByName(name)

    def call(self, method):
        """The call of that name, and the class of its requests."""
        described = self.described.methods_by_name[method]
        request, response = map(
            GetMessageClass, (described.input_type, described.output_type)
        )
        kinds = {
            (False, False): self.channel.unary_unary,
            (True, True): self.channel.stream_stream,
        }
        kind = kinds[described.client_streaming, described.server_streaming]
        call = kind(
            f"/{self.name}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return call, request


def check_health(service, other):
    for asked in ("", service.name):
        request = health_pb2.HealthCheckRequest(service=asked)
        status = service.health.Check(request, timeout=DEADLINE_S).status
        assert status == HEALTH.SERVING, (asked, status)
        watch = service.health.Watch(request, timeout=DEADLINE_S)
        assert next(watch).status == HEALTH.SERVING, asked
        watch.cancel()
    for asked in ("no.such.Service", other):
        request = health_pb2.HealthCheckRequest(service=asked)
        refused(grpc.StatusCode.NOT_FOUND, service.health.Check, request)


def refused(code, call, request):
    try:
        call(request, timeout=DEADLINE_S)
    except grpc.RpcError as error:
        assert error.code() == code, error
    else:
        raise AssertionError(f"{request} is not refused")


def check_reflection(service):
    ours = {name for name in service.listed if name.startswith("edgeledger.")}
    assert ours == BESIDE[service.name], service.listed
    assert "grpc.health.v1.Health" in service.listed, service.listed


def check_signal_calls(service):
    """A stranger learns nothing of who is there."""
    said = service.health.Check(health_pb2.HealthCheckRequest(service=SIGNAL))
    assert said.status == HEALTH.SERVING, said
    call, request = service.call("GetIceServers")
    refused(grpc.StatusCode.UNAUTHENTICATED, call, request())


def check_identity_calls(service, ledger_address):
    """What anybody may ask without a device."""
    call, request = service.call("GetDeployment")
    said = call(request(), timeout=DEADLINE_S)
    assert said.genesis, said
    assert list(said.ledger_urls) == [f"http://{ledger_address}"], said
    call, request = service.call("GetChallenge")
    refused(grpc.StatusCode.INVALID_ARGUMENT, call, request(identity=b"short"))
    call, request = service.call("GetLog")
    refused(grpc.StatusCode.UNAUTHENTICATED, call, request(identity=bytes(32)))


def check_ledger_calls(service):
    """The service speaks first, and ends a stream in order that a device closes."""
    call, _ = service.call("Sync")
    requests = queue.SimpleQueue()
    stream = call(iter(requests.get, None), timeout=DEADLINE_S)
    first = next(stream)
    assert first.frame.WhichOneof("message") == "greeting", first
    requests.put(None)
    rest = list(stream)
    assert rest == [] and stream.code() == grpc.StatusCode.OK, (rest, stream.code())


def check(what, identity_address, ledger_address):
    """Checks both; leaves a watch of each one's health open."""
    identity = Service(identity_address, IDENTITY)
    ledger = Service(ledger_address, LEDGER)
    watches = []
    for service, other in ((identity, ledger), (ledger, identity)):
        check_health(service, other.name)
        check_reflection(service)
        request = health_pb2.HealthCheckRequest(service=service.name)
        watch = service.health.Watch(request)
        assert next(watch).status == HEALTH.SERVING
        watches.append(watch)
    check_identity_calls(identity, ledger_address)
    check_signal_calls(Service(identity_address, SIGNAL))
    check_ledger_calls(ledger)
    for service in (identity, ledger):
        calls = len(service.described.methods)
        print(f"{what}: {service.name} serves, {calls} calls described")
    return watches


def check_end(watch):
    """It says that it takes no more work, then why the stream ends."""
    try:
        said = [message.status for message in watch]
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return
    raise AssertionError(f"a watch ended in order after {said}")


def check_drained(process, watches, name):
    process.send_signal(signal.SIGTERM)
    for watch in watches:
        assert next(watch).status == HEALTH.NOT_SERVING
        check_end(watch)
    code = process.wait(timeout=DEADLINE_S)
    assert code == 0, f"{name} ended with {code}"


@contextlib.contextmanager
def running(arguments, **options):
    process = subprocess.Popen(arguments, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def check_pair(folder):
    """Both services in one process, over an embedded store."""
    with tempfile.TemporaryDirectory() as home:
        data, keys = os.path.join(home, "data"), os.path.join(home, "keys")
        listen = "127.0.0.1:0"
        arguments = [os.path.join(folder, "edge-ledger"), "up", "--json"]
        arguments += ["--data", data, "--keys", keys]
        arguments += ["--identity-listen", listen, "--ledger-listen", listen]
        with running(arguments, stdout=subprocess.PIPE) as pair:
            urls = json.loads(pair.stdout.readline())
            addresses = [urls[url].removeprefix("http://") for url in ("identity_url", "ledger_url")]
            watches = check("up", *addresses)
            check_drained(pair, watches, "up")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as redis:
        redis.sendall(b"PING\r\n")
        return redis.recv(16).startswith(b"+PONG")
    return False


@contextlib.contextmanager
def redis(home):
    """A Redis of its own, whose answers are worth an ack."""
    for _ in range(STARTS_MAX):
        # Somebody else may take the port before the server does.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", home]
        arguments += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        with running(arguments, stdout=subprocess.DEVNULL) as server:
            until = time.monotonic() + DEADLINE_S
            while server.poll() is None and time.monotonic() < until:
                if answers(port):
                    yield port
                    return
                time.sleep(LOOK_EVERY_S)
    raise AssertionError("redis-server does not start")


@contextlib.contextmanager
def service(folder, name, settings):
    """A service of its own; says where it listens."""
    names = {key: f"EDGE_LEDGER__{key.upper().replace('.', '__')}" for key in settings}
    environment = {names[key]: value for key, value in settings.items()}
    with tempfile.TemporaryFile("a+") as log:
        arguments = [os.path.join(folder, name)]
        with running(arguments, env=environment, stderr=log) as process:
            yield process, serves_at(process, log, name)


def serves_at(process, log, name):
    """Reads what it logs until it says where it serves."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        ended = process.poll() is not None
        log.seek(0)
        lines = log.read().splitlines()
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said["message"] == "serves":
                    return said["address"]
        assert not ended, f"{name} does not start: {lines}"
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"{name} does not serve: {lines}")


def check_services(folder):
    """Each service as a process of its own."""
    with tempfile.TemporaryDirectory() as home, redis(home) as port:
        keys = os.path.join(home, "keys")
        program = os.path.join(folder, "edge-ledger")
        made = [program, "keys", "init", "--dir", keys, "--json"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        settings = {
            "server.listen": "127.0.0.1:0",
            "keys.dir": keys,
            "store.kind": "redis",
            "store.url": f"redis://127.0.0.1:{port}",
            "log.format": "json",
        }
        with service(folder, "ledger-service", settings) as (ledger, ledger_address):
            settings["identity.ledger_urls"] = f"http://{ledger_address}"
            with service(folder, "identity-service", settings) as (identity, identity_address):
                watches = check("apart", identity_address, ledger_address)
                check_drained(identity, watches[:1], "identity-service")
                check_drained(ledger, watches[1:], "ledger-service")


if __name__ == "__main__":
    check_pair(sys.argv[1])
    check_services(sys.argv[1])
