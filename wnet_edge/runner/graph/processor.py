"""Which processor this is, and whether it multiplies 8-bit numbers without saturating.

Goes beside every measured retention: integer kernels differ from processor to processor.
"""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = ("avx512_vnni", "avx_vnni")


def processor_name() -> str:
    """The processor in words, its vector instructions included where the system tells them."""
    told = _cpuinfo()
    name = told.get("model name") or platform.processor() or platform.machine() or "unknown"
    flags = told.get("flags", "").split()
    if not flags:
        return name
    kinds = [kind for kind in ("avx512f", "avx2") if kind in flags][:1]
    vnni = "VNNI" if has_vnni() else "no VNNI"
    return f"{name} ({', '.join([*(kind.upper() for kind in kinds), vnni])})"


def has_vnni() -> bool | None:
    """Whether it has instructions for 8-bit products; None where the system does not tell."""
    flags = _cpuinfo().get("flags")
    return None if flags is None else any(flag in flags.split() for flag in _VNNI)


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        first = _CPUINFO.read_text("utf-8", "replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
