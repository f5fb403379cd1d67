"""What both peers of the bench share: a process that measures once for every line it is sent."""
import json
import resource
import statistics
import sys
import time


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_ms(times: list[float]) -> float:
    return 1000 * statistics.median(times)


def peak_memory() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(measure) -> None:
    """Says that it is ready, then answers every line of stdin with one line of JSON."""
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)
