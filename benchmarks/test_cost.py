"""Gates: what the product costs beside the network's own time.

Host share, cold start, peak memory and throughput; times over the calibration kernel's, timed in
the same run.
"""

import time

import pytest

from benchmarks.calibration_kernel import in_kernels
from benchmarks.gates import baseline, hold
from benchmarks.host_share import host_share_ms_per_frame
from benchmarks.one_process import SCAN, infer_cost
from wnet_edge.embedded import find_package
from wnet_edge.io.scan_file import open_scan
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer

HOST_FRAMES = 1500
OPTIONS = RunnerOptions(Precision.FP32, Provider.CPU, threads=1, batch_size=32)


def host_share():
    """Of a frame, in kernels; and the shares."""

    def work():
        share = host_share_ms_per_frame(HOST_FRAMES)
        return share.total_ms / 1000, share

    return in_kernels(work)


def cold_start(environment=None):
    """CPU time in kernels, and the costs of each start."""

    def work():
        cost = infer_cost(environment=environment)
        return cost.cpu_s, cost

    return in_kernels(work)


def frames_a_kernel():
    """Frames of scan 247 through `infer` in the kernel's time; all threads' own time counts."""
    scan = open_scan(SCAN)
    opened = open_best_graph(open_package(find_package("w3")), OPTIONS)

    def work():
        began = time.process_time()
        infer(scan, opened)
        return (time.process_time() - began) / scan.frame_count, None

    return 1 / in_kernels(work)[0]


def test_host_share(benchmark):
    ratio, shares = benchmark.pedantic(host_share, rounds=1)
    share = shares[-1]
    benchmark.extra_info |= {"over_kernel": ratio, **vars(share)}
    print(f"\nhost share {share.total_ms:.3f} ms a frame, {ratio:.4f} of the kernel")  # noqa: T201
    hold("host_share_over_kernel", ratio)


def test_cold_start_and_peak_memory(benchmark):
    ratio, costs = benchmark.pedantic(cold_start, rounds=1)
    peak_mib = max(cost.peak_mib for cost in costs)
    benchmark.extra_info |= {
        "cpu_over_kernel": ratio,
        "peak_mib": peak_mib,
        "wall_s": [cost.wall_s for cost in costs],
        "steps_s": costs[-1].steps_s,
    }
    walls = ", ".join(f"{cost.wall_s:.2f}" for cost in costs)
    print(f"\ncold infer: {walls} s, {ratio:.0f} kernels, {peak_mib:.0f} MiB")  # noqa: T201
    hold("cold_start_over_kernel", ratio)
    hold("peak_memory_mib", peak_mib)


def test_throughput(benchmark):
    frames = benchmark.pedantic(frames_a_kernel, rounds=1)
    benchmark.extra_info["frames_a_kernel"] = frames
    print(f"\n{frames:.2f} frames in the kernel's time")  # noqa: T201
    hold("throughput_over_baseline", frames / baseline("test_throughput", "frames_a_kernel"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What was tuned for the user is not what is measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
