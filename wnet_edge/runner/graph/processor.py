"""Name of this machine's processor, and whether it has 8-bit dot-product instructions (VNNI).

Recorded with every measured retention, since integer kernels differ between processors.
"""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = ("avx512_vnni", "avx_vnni")


def processor_name() -> str:
    """Processor name, with its vector instructions where the system lists them."""
    told = _cpuinfo()
    name = told.get("model name") or platform.processor() or platform.machine() or "unknown"
    flags = told.get("flags", "").split()
    if not flags:
        return name
    kinds = [kind for kind in ("avx512f", "avx2") if kind in flags][:1]
    vnni = "VNNI" if has_vnni() else "no VNNI"
    return f"{name} ({', '.join([*(kind.upper() for kind in kinds), vnni])})"


def has_vnni() -> bool | None:
    """Whether it has VNNI, 8-bit dot products without saturation; None if unknown."""
    flags = _cpuinfo().get("flags")
    return None if flags is None else any(flag in flags.split() for flag in _VNNI)


def _cpuinfo() -> dict[str, str]:
    """Entries of the first core in Linux's /proc/cpuinfo."""
    try:
        first = _CPUINFO.read_text("utf-8", "replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
