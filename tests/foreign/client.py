"""A client that knows nothing of this project: it asks both services which calls there are, and
how they are.

client.py PROGRAM: starts `PROGRAM up`, asks, and ends it.
"""

import json
import os
import subprocess
import sys
import tempfile

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

DEADLINE_S = 20
SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = {
    "identity_url": ("edgeledger.identity.v1.IdentityService", "GetChallenge"),
    "ledger_url": ("edgeledger.ledger.v1.LedgerService", "Sync"),
}


def check_health(channel, name):
    health = health_pb2_grpc.HealthStub(channel)
    for asked in ("", name):
        request = health_pb2.HealthCheckRequest(service=asked)
        status = health.Check(request, timeout=DEADLINE_S).status
        assert status == SERVING, (asked, status)
    try:
        request = health_pb2.HealthCheckRequest(service="no.such.Service")
        health.Check(request, timeout=DEADLINE_S)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    else:
        raise AssertionError("an unknown service has a health")


def check_reflection(channel, name, call):
    database = ProtoReflectionDescriptorDatabase(channel)
    listed = set(database.get_services())
    assert {name, "grpc.health.v1.Health"} <= listed, listed
    service = DescriptorPool(database).FindServiceByName(name)
    calls = {method.name for method in service.methods}
    assert call in calls, calls
    return len(calls)


def check(address, name, call):
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=DEADLINE_S)
        check_health(channel, name)
        calls = check_reflection(channel, name, call)
    print(f"{name}: serving, {calls} calls described")


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        data, keys = os.path.join(folder, "data"), os.path.join(folder, "keys")
        listen = "127.0.0.1:0"
        pair = subprocess.Popen(
            [program, "up", "--json", "--data", data, "--keys", keys]
            + ["--identity-listen", listen, "--ledger-listen", listen],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            urls = json.loads(pair.stdout.readline())
            for url, (name, call) in SERVICES.items():
                check(urls[url].removeprefix("http://"), name, call)
        finally:
            pair.terminate()
            code = pair.wait(timeout=DEADLINE_S)
        assert code == 0, f"up ended with {code}"


if __name__ == "__main__":
    main(sys.argv[1])
