"""Pictures in a page: small, and inside the file."""

import base64
import io

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from info_nce.errors import needs_extra
from info_nce.plots.thumbnails import rows_of

with needs_extra("images"):
    from PIL import Image

# Pictures are shown at most this large; a page with hundreds of them stays small.
THUMBNAIL = 64


def data_uri(image: UInt8[Tensor, "c h w"]) -> str:
    """Turn a picture into the address of itself, as PNG, for the src of an img element."""
    content = io.BytesIO()
    Image.fromarray(rows_of(shrunk(image[None], THUMBNAIL)[0])).save(content, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def shrunk(images: UInt8[Tensor, "n c h w"], most: int) -> UInt8[Tensor, "n c s s"]:
    """Bring pictures to at most a side of `most` pixels, by averaging."""
    if images.shape[-1] <= most:
        return images
    return functional.adaptive_avg_pool2d(images.float(), most).round().to(torch.uint8)
