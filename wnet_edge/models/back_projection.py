"""Back-projection of a frame to the object plane with the known probe: one step of ePIE.

Stands between the normalisation and a network: frame → normalise → **back-project** → network. The
frame's difference from the empty beam's is propagated back to the object plane, so that edges
appear where the object has them. No trainable weights.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.geometry import central_window_start_px

_DARK_AMPLITUDE = 0.1
"""Relative to the empty beam's RMS amplitude; weaker pixels have no phase for a measured count."""

_DARK_PROBE = 0.02
"""Relative to the probe's brightest pixel; object pixels with less are not illuminated."""


class BackProjection(nn.Module):
    """Back-projects normalised frames (B, 1, n, n) to an object estimate (B, 2, n, n).

    Real and imaginary part of O − 1 after one step of ePIE from the empty object O = 1 (Maiden &
    Rodenburg, Ultramicroscopy 109, 1256, 2009, eq. 6), summed over incoherent modes (Thibault &
    Menzel, Nature 494, 68, 2013): Σ_k conj(P_k)·F⁻¹[Ψ_k/|Ψ|·(s − |Ψ|)] / Σ_k |P_k|², with Ψ_k the
    empty beam's modes at the detector, |Ψ| = sqrt(Σ|Ψ_k|²), and s the normalised frame. Transforms
    are products with DFT matrices, since ONNX has no complex numbers; at 64 pixels as fast as FFTs.

    Args:
        probe: (modes, N, N) complex64 in the full window.
        window_px: n, edge of the network's window; N / n is the detector's binning.
        modes: number of orthogonal modes used, strongest first; None for all.
    """

    def __init__(
        self, probe: NDArray[np.complex64], window_px: int, modes: int | None = None
    ) -> None:
        super().__init__()
        waves = _orthogonal_modes(_cropped_to_bins(probe, window_px))
        far = _far_field(waves)
        modulus = np.sqrt(np.sum(np.abs(far) ** 2, axis=0))
        rms = math.sqrt(float(np.mean(modulus**2)))
        turn = far[:modes] / np.sqrt(modulus**2 + (_DARK_AMPLITUDE * rms) ** 2)
        intensity = np.sum(np.abs(waves) ** 2, axis=0)
        back = rms * waves[:modes].conj() / (intensity + _DARK_PROBE * intensity.max())
        index = np.arange(window_px) - window_px // 2
        angle = 2 * math.pi * np.outer(index, index) / window_px
        cosine, sine = np.cos(angle) / math.sqrt(window_px), np.sin(angle) / math.sqrt(window_px)
        self.empty: torch.Tensor
        self.turn: torch.Tensor
        self.transform: torch.Tensor
        self.back_real: torch.Tensor
        self.back_imaginary: torch.Tensor
        self._constant("empty", _empty_beam(probe, window_px))
        # Complex numbers as real blocks, [re, im] side by side or stacked; input rows split into
        # an upper and a lower half, output rows into even and odd ones.
        turn = np.concatenate([turn.real, turn.imag], axis=-1)
        self._constant("turn", turn.reshape(len(turn), 2, window_px // 2, 2 * window_px))
        self._constant("transform", np.block([[cosine, sine], [-sine, cosine]]))
        back = np.stack([back[:, ::2], back[:, 1::2]])
        self._constant("back_real", back.real)
        self._constant("back_imaginary", back.imag)

    def _constant(self, name: str, values: NDArray[np.floating[Any]]) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        self.register_buffer(name, tensor, persistent=False)

    def forward(self, frame: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Frame (B, 1, n, n), valid (B, 1, n, n) of 1 and 0, to real and imaginary (B, 2, n, n).

        One radix-2 step (Cooley & Tukey, Math. Comput. 19, 297, 1965): even and odd rows of the
        exit wave are transformed separately, from the sums and differences of rows j and j + n/2
        at the detector. That saves a quarter of the multiplications.
        """
        n = frame.shape[-1]
        excess = (frame - self.empty) * valid
        wave = torch.cat([excess, excess], dim=-1).reshape(-1, 1, 2, n // 2, 2 * n) * self.turn
        upper, lower = wave[:, :, 0], wave[:, :, 1]
        folded = torch.stack([upper + lower, upper - lower], dim=1)
        across = folded @ self.transform  # (B, 2, modes, n/2, 2n)
        stacked = torch.cat([across[..., :n], across[..., n:]], dim=-2)  # (B, 2, modes, n, n)
        exit_wave = self._row_transforms() @ stacked
        real, imaginary = exit_wave[..., : n // 2, :], exit_wave[..., n // 2 :, :]
        estimate = torch.stack(
            [
                (real * self.back_real - imaginary * self.back_imaginary).sum(dim=2),
                (real * self.back_imaginary + imaginary * self.back_real).sum(dim=2),
            ],
            dim=1,
        )  # (B, 2, 2, n/2, n), third axis: even and odd rows
        return estimate.transpose(2, 3).reshape(-1, 2, n, n)

    def _row_transforms(self) -> torch.Tensor:
        """Transforms to even and odd rows from a wave's upper half, (2, 1, n, n)."""
        n = self.empty.shape[-1]
        rows = self.transform.T.reshape(n, 2, 2, 2, n // 2)[:, :, :, 0]
        return rows.permute(1, 0, 2, 3).reshape(2, 1, n, n)


def _far_field(modes: NDArray[Any]) -> NDArray[np.complex128]:
    centred: NDArray[np.complex128] = np.fft.ifftshift(modes, (1, 2)).astype(np.complex128)
    return np.fft.fftshift(np.fft.fft2(centred, norm="ortho"), (1, 2))


def _empty_beam(probe: NDArray[np.complex64], window_px: int) -> NDArray[np.float64]:
    """Normalised frame of an empty object, (n, n), root mean square 1."""
    intensity = np.sum(np.abs(_far_field(probe)) ** 2, axis=0).astype(np.float32)
    binned = bin_frames(intensity, probe.shape[-1] // window_px)
    normalised: NDArray[np.float64] = np.sqrt(binned / binned.mean()).astype(np.float64)
    return normalised


def _cropped_to_bins(probe: NDArray[np.complex64], window_px: int) -> NDArray[np.complex128]:
    """The probe's central window, with a phase ramp that centres its far field on the bins.

    The centre of a bin of an even number of pixels lies half a pixel before a pixel centre.
    """
    full_px = probe.shape[-1]
    start = central_window_start_px(full_px, window_px)
    cut = probe[:, start : start + window_px, start : start + window_px].astype(np.complex128)
    offset_px = 0.0 if (full_px // window_px) % 2 else 0.5
    index = np.arange(window_px) - window_px // 2
    ramp = np.exp(2j * math.pi * offset_px * index / full_px)
    turned: NDArray[np.complex128] = cut * ramp[:, None] * ramp[None, :]
    return turned


def _orthogonal_modes(probe: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Equivalent orthogonal modes (same mutual intensity), strongest first."""
    _, strength, shapes = np.linalg.svd(probe.reshape(len(probe), -1), full_matrices=False)
    modes: NDArray[np.complex128] = (strength[:, None] * shapes).reshape(probe.shape)
    return modes
