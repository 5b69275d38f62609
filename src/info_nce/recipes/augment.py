"""Two views of one picture: which differences the encoder is told to ignore.

All randomness comes from torch's global generator, whose state is in every checkpoint.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.errors import needs_extra

with needs_extra("images"):
    import kornia.augmentation as K  # noqa: N812 (as its own documentation has it)

Augmentation = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n c h w"]]
Clips = Callable[[Float[Tensor, "n t c h w"]], Float[Tensor, "n t c h w"]]


def augmentation(source: str, channels: int, size: int) -> Augmentation:
    """Choose what suits the pictures.

    Args:
        source: "animals", "digits", or a folder.
        channels: 1 or 3.
        size: side in pixels.
    """
    if source == "animals":
        return silhouettes()
    if source == "digits":
        return digits_in_noise()
    return grey_pictures(size) if channels == 1 else colour_pictures(size)


def silhouettes() -> Augmentation:
    """Move, turn, scale, slant, mirror and tilt: a silhouette has no colour, and a crop of it is another shape.

    The strengths were chosen on the validation part of the silhouettes, from four combinations with one seed each.
    """
    affine = K.RandomAffine(degrees=15.0, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=10.0, p=1.0)
    return AtOnce(affine, K.RandomHorizontalFlip(p=0.5), K.RandomPerspective(0.4, p=0.5))


class AtOnce(nn.Sequential):
    """Several changes of where things are, as one: half the time, and pictures are blurred by one resampling only.

    The result is that of the changes one after the other, but for what an earlier one would have pushed out of sight
    and a later one brought back as nothing. Changes are kornia's geometric ones; what an edge uncovers is 0.
    """

    def forward(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Draw each change, multiply their matrices, resample."""
        count, _, height, width = pictures.shape
        whole = torch.eye(3, device=pictures.device)
        for change in self:
            drawn = change.forward_parameters(pictures.shape)  # type: ignore[operator]  # kornia's modules have it
            whole = change.generate_transformation_matrix(pictures, drawn, change.flags) @ whole  # type: ignore[operator]  # see above
        down, right = (torch.arange(float(size), device=pictures.device) for size in (height, width))
        places = torch.cartesian_prod(down, right).flip(1)
        came = nn.functional.pad(places, (0, 1), value=1.0) @ torch.linalg.inv(whole).mT
        from_centre = came[..., :2] / came[..., 2:] * (2 / torch.stack([right[-1], down[-1]])) - 1
        return nn.functional.grid_sample(pictures, from_centre.view(count, height, width, 2), align_corners=True)


def digits_in_noise() -> Augmentation:
    """Move, turn, scale and slant a digit, and add noise of its own to each view.

    Without that noise, two views are known by the noise that the picture itself came with. Chosen on the validation
    part, among three, one seed each.
    """
    affine = K.RandomAffine(degrees=15.0, translate=(0.2, 0.2), scale=(0.8, 1.2), shear=10.0, p=1.0)
    return nn.Sequential(affine, K.RandomGaussianNoise(0.0, 0.2, p=1.0))


def colour_pictures(size: int, strength: float = 1.0) -> nn.Sequential:
    """SimCLR's own: crop, mirror, change colours, drop colours, blur.

    Args:
        size: side in pixels.
        strength: of the colour changes; 1 is the paper's for ImageNet, 0.5 its for CIFAR-10.

    Source:
        Chen et al. 2020, arXiv:2002.05709, appendix A: crops of 8 to 100 % of the area, colour jitter
        (0.8 s, 0.8 s, 0.8 s, 0.2 s) with probability 0.8, grey with 0.2, blur of sigma 0.1 to 2.0 over a tenth of the
        side with 0.5.
        Differs from the paper: the order of the four colour changes is drawn once per batch, not per picture.
    """
    jitter = K.ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength, p=0.8)
    return nn.Sequential(_crop(size), K.RandomHorizontalFlip(p=0.5), jitter, K.RandomGrayscale(p=0.2), _blur(size))


def grey_pictures(size: int) -> nn.Sequential:
    """SimCLR's own without what needs colours: crop, mirror, blur.

    Args:
        size: side in pixels.
    """
    return nn.Sequential(_crop(size), K.RandomHorizontalFlip(p=0.5), _blur(size))


def described(channels: int) -> Augmentation:
    """Move, turn, scale, mirror and light a little: a caption must stay true of what is left.

    So no crops, which may cut off what it names, and no change of hue, for captions name colours. What an edge uncovers
    is filled with the colour of the edge.

    Args:
        channels: 1 or 3.
    """
    affine = K.RandomAffine(degrees=12.0, translate=(0.08, 0.08), scale=(0.8, 1.2), p=1.0, padding_mode="border")
    moved = nn.Sequential(affine, K.RandomHorizontalFlip(p=0.5))
    return moved if channels == 1 else moved.append(K.ColorJitter(0.2, 0.2, 0.2, 0.02, p=0.8))


def _crop(size: int) -> nn.Module:
    crop: nn.Module = K.RandomResizedCrop((size, size), scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), p=1.0)
    return crop


def _blur(size: int) -> nn.Module:
    kernel = max(3, size // 10 // 2 * 2 + 1)  # a tenth of the side, and odd
    blur: nn.Module = K.RandomGaussianBlur((kernel, kernel), (0.1, 2.0), p=0.5)
    return blur


def clip_augmentation(source: str, channels: int, size: int) -> Clips:
    """Choose what suits the clips; every frame of a clip is changed in the same way.

    Args:
        source: "moving-digits", or a folder.
        channels: 1 or 3.
        size: side in pixels.
    """
    if source == "moving-digits":
        return moving_digits()
    of_frames = grey_pictures(size) if channels == 1 else colour_pictures(size)
    alike: Clips = K.VideoSequential(*of_frames.children(), data_format="BTCHW", same_on_frame=True)
    return alike


def moving_digits() -> Clips:
    """Turn, scale and slant a little: by less than would make one direction or speed of motion another one."""
    affine = K.RandomAffine(degrees=10.0, scale=(0.9, 1.1), shear=10.0, p=1.0)
    # Frames as channels of one picture, which all move alike.
    return lambda clips: affine(clips.flatten(1, 2)).view_as(clips)
