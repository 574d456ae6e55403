"""A process that talks gRPC can start others: PostgreSQL and emulators here, Chromium in the browser worker."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Its own process, so that gRPC is imported after `shared`, as in every process of ours, and so that a crash is its own.
# An unusable `preexec_fn` makes subprocess fork, as changing the user does; otherwise it would not meet gRPC's hooks.
BESIDE_GRPC = """
import shared
import subprocess, threading
from concurrent.futures import ThreadPoolExecutor
import grpc

def unchanged(message):
    return message

method = grpc.unary_unary_rpc_method_handler(lambda request, _: request, unchanged, unchanged)
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Say": method}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
done, failures = threading.Event(), []

def call():
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        say = channel.unary_unary("/test.Echo/Say", unchanged, unchanged)
        while not done.is_set():
            say(b"hello", timeout=10)

callers = [threading.Thread(target=call) for _ in range(3)]
for caller in callers:
    caller.start()
for _ in range(60):
    failures.append(subprocess.run(["true"], preexec_fn=int, timeout=20).returncode)
done.set()
for caller in callers:
    caller.join()
server.stop(None)
print(sum(code != 0 for code in failures), "of", len(failures))
"""


def test_a_process_that_talks_grpc_starts_others() -> None:
    run = subprocess.run(
        [sys.executable, "-c", BESIDE_GRPC], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert (run.returncode, run.stdout) == (0, "0 of 60\n"), run.stderr[-2000:]
