"""An image of the object: its arrays, whether it can be trusted, its files and its picture."""

import os
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.api.scans import File
from wnet_edge.choices import chosen
from wnet_edge.comparing.comparison import Comparison, ObjectImage
from wnet_edge.comparing.comparison import compare as compare_images
from wnet_edge.embedded import path_of
from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import check_output
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.images.result_file import Result
from wnet_edge.io.images.result_format import ResultFormat, paths_from, picture_beside
from wnet_edge.runner.image.infer import Inference
from wnet_edge.runner.image.scan_image import (
    ScanImage,
    check_outputs,
    picture_of,
    result_of,
    write_scan_image,
)


@dataclass(frozen=True, eq=False)
class Image:
    """The image of a scan; in a notebook, its picture.

    Attributes:
        scan_image: the image with all that is known of it.
    """

    scan_image: ScanImage

    @property
    def phase(self) -> NDArray[np.float32]:
        """(H, W) float32 rad; 0 where no frame lies. Its global phase is arbitrary."""
        return self._result.phase

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """(H, W) float32, dimensionless; 0 where no frame lies."""
        return self._result.amplitude

    @property
    def coverage(self) -> NDArray[np.float32]:
        """(H, W) float32, summed illumination weight of the frames on each pixel."""
        return self._inference.stitched.coverage

    @property
    def pixel_size_m(self) -> float:
        """Edge of a pixel."""
        return self._inference.pixel_size_m

    @property
    def r_factor(self) -> float | None:
        """R = Σ|√I − |Ψ|| / Σ√I over frames simulated anew; None where none could be compared."""
        fit = self._inference.self_check.fit
        return None if fit is None else fit.r_factor

    @property
    def trusted(self) -> bool | None:
        """Whether the image explains its frames; None where that is unknown."""
        return self._inference.self_check.trusted

    @property
    def verdict(self) -> str:
        """R-factor, part explained, contrast and verdict, in a line."""
        return self._inference.self_check.text

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know, one line each."""
        return self._inference.warnings

    @property
    def frames_received(self) -> int:
        """Frames in the scan."""
        return self._inference.frames_received

    @property
    def frames_processed(self) -> int:
        """Frames that are in the image."""
        return self._inference.frames_processed

    def save(
        self,
        output: str | os.PathLike[str],
        *,
        image_format: str = ResultFormat.NEXUS.value,
        picture: bool | str | os.PathLike[str] = False,
        force: bool = False,
    ) -> tuple[Path, ...]:
        """Write the image, and its picture where that is asked for: all of them or none.

        Args:
            output: file; "tiff" makes OUTPUT.phase.tif and OUTPUT.amplitude.tif of it.
            image_format: "nexus", "ptychodus", "cxi" or "tiff".
            picture: True for a PNG beside the file, or its path.
            force: replace existing files.

        Returns:
            What was written.

        Raises:
            OptionError: if there is no such format.
            ResultError: if a file is there and `force` is not set, or can't be written.
        """
        kind, path = chosen(ResultFormat, image_format, "image_format"), Path(output)
        outputs = paths_from(kind, path)
        png: Path | None = None
        if picture is not False:
            png = picture_beside(path) if picture is True else Path(picture)
            check_output(png, ResultError, force=force)
        check_outputs(self.scan_image.ready, outputs, kind, force=force)
        write_scan_image(self.scan_image, outputs, png, kind, force=force)
        return outputs if png is None else (*outputs, png)

    @cached_property
    def _result(self) -> Result:
        return result_of(self.scan_image)

    @property
    def _inference(self) -> Inference:
        return self.scan_image.inference

    def _repr_png_(self) -> bytes:
        """The picture, for a notebook."""
        data = BytesIO()
        picture_of(self.scan_image).save(data, format="PNG")
        return data.getvalue()

    def __repr__(self) -> str:
        height, width = self.coverage.shape
        size_nm = 1e9 * self.pixel_size_m
        return (
            f"<Image of {self.scan_image.scan.name}: {height} × {width} px of {size_nm:.4g} nm, "
            f"{self.verdict}>"
        )


def compare(image: Image | File, reference: Image | File) -> Comparison:
    """Compare an image with a reference.

    Shift, global phase, scale of amplitude and, where that helps, a phase ramp are removed first;
    judged are the pixels that both cover well.

    Args:
        image: from `Runner.infer`, or a file: what `Image.save` or `wnet-edge infer` has written,
            a Ptychodus product, or an .npz with a complex array `object`.
        reference: likewise; `example:scan247-reference` is the embedded one.

    Raises:
        ResultError: if a file can't be read, or the images have too little in common.
    """
    return compare_images(_object_image(image), _object_image(reference))


def _object_image(image: Image | File) -> ObjectImage:
    if not isinstance(image, Image):
        return read_object_image(path_of(image))
    inference = image.scan_image.inference
    stitched = inference.stitched
    name = str(image.scan_image.scan)
    return ObjectImage(name, stitched.image, stitched.coverage, inference.pixel_size_m)
