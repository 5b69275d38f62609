"""Encoders of the user's own: of any making, all used alike, and refused by name where they do not fit."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from info_nce.errors import DataError, SettingError
from info_nce.recipes.towers import image_tower, own_tower, text_tower
from tests.own_encoders import own_module

PAD, UNKNOWN = "[PAD]", "[UNK]"
WORDS = [PAD, UNKNOWN, "[CLS]", "[SEP]", "a", "cat", "dog", "runs"]
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
EYES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessor"}

OWN = """
import torch
from torch import nn

class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(256, 6)
    def prepare(self, texts):
        return torch.tensor([[ord(c) % 256 for c in text[:9].ljust(9)] for text in texts])
    def forward(self, ids):
        return self.table(ids).mean(1)

class Ragged(Letters):
    def prepare(self, texts):
        return super().prepare(texts[:1])

def eye(channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size ** 2, 5), nn.BatchNorm1d(5), nn.Dropout())

def squeezed(channels, image_size):
    class Squeezed(nn.Module):
        def forward(self, images):
            return images.mean((0, 2, 3))
    return Squeezed()

def unpooled():
    return nn.Identity()

def tuples():
    class Tuples(nn.Module):
        def forward(self, images):
            return images.flatten(1), images
    return Tuples()

def ear():
    from transformers import Wav2Vec2Config, Wav2Vec2Model
    class Ear(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = Wav2Vec2Model(Wav2Vec2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=8, conv_dim=[8, 8], conv_stride=[4, 4], conv_kernel=[4, 4],
                num_feat_extract_layers=2, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2))
        def forward(self, waves):
            return self.body(waves).last_hidden_state.mean(1)
    return Ear()

def broken():
    raise RuntimeError("no weights today")

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return own_module(tmp_path, OWN, monkeypatch)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models with random weights, as transformers saves them."""
    transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN)
    text = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 20}
    vision = {**SIZES, "image_size": 16, "patch_size": 8}
    eye = transformers.ViTConfig(**vision)
    both = transformers.CLIPConfig(
        text_config={**text, "bos_token_id": 2, "eos_token_id": 3}, vision_config=vision, projection_dim=6
    )
    for name, model in {
        "bert": transformers.BertModel(transformers.BertConfig(**text)),
        "vit": transformers.ViTModel(eye),
        "vit_without_pooler": transformers.ViTModel(eye, add_pooling_layer=False),
        "clip": transformers.CLIPModel(both),
    }.items():
        model.save_pretrained(root / name)
        fast.save_pretrained(root / name)
        (root / name / "preprocessor_config.json").write_text(json.dumps(EYES))
    return root


def test_a_text_is_the_mean_over_its_own_tokens(saved: Path) -> None:
    import transformers

    tower = text_tower(f"transformers:{saved / 'bert'}").eval()
    prepared = tower.prepare(["a cat", "a dog runs a dog"])
    assert [tuple(part.shape) for part in prepared] == [(2, 20), (2, 20)]
    with torch.no_grad():
        found = tower(*prepared)
        ids = torch.tensor([[WORDS.index("a"), WORDS.index("cat")]])
        alone = transformers.AutoModel.from_pretrained(saved / "bert")(input_ids=ids).last_hidden_state
    assert found.shape == (2, tower.features) == (2, 8)
    torch.testing.assert_close(found[:1], alone.mean(1))


def test_long_texts_are_cut_and_texts_without_tokens_are_named(saved: Path) -> None:
    tower = text_tower(f"transformers:{saved / 'bert'}").eval()
    long, cut = tower.prepare(["cat " * 50]), tower.prepare(["cat " * 20])
    torch.testing.assert_close(long, cut)
    with pytest.raises(DataError, match="no tokens"):
        tower.prepare(["a cat", "  "])


@pytest.mark.parametrize("name", ["bert", "clip"])
def test_a_frozen_tower_never_changes_and_keeps_nothing(saved: Path, name: str) -> None:
    tower = text_tower(f"transformers:{saved / name}", freeze=True).train()
    prepared = tower.prepare(["a cat", "a dog"])
    assert not any(module.training for module in tower.modules())
    assert not any(weight.requires_grad for weight in tower.parameters())
    assert tower(*prepared).grad_fn is None
    torch.testing.assert_close(tower(*prepared), tower(*prepared), rtol=0, atol=0)


@pytest.mark.parametrize(("name", "features"), [("vit", 8), ("vit_without_pooler", 8), ("clip", 6)])
def test_pictures_of_any_size_and_grey_ones_are_brought_to_what_the_weights_expect(
    saved: Path, name: str, features: int
) -> None:
    grey, colour = (image_tower(f"transformers:{saved / name}", channels, 12).eval() for channels in (1, 3))
    images = torch.rand(3, 1, 12, 12)
    assert grey.features == features
    assert grey(images).shape == (3, features)
    torch.testing.assert_close(grey(images), colour(images.expand(3, 3, 12, 12)))


def test_a_pooler_without_weights_is_not_drawn_at_random(saved: Path) -> None:
    first, second = (image_tower(f"transformers:{saved / 'vit_without_pooler'}", 3, 16).eval() for _ in range(2))
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(first(images), second(images), rtol=0, atol=0)


def test_every_weight_that_learns_has_a_gradient(saved: Path) -> None:
    # what training on several processes waits for
    texts = text_tower(f"transformers:{saved / 'clip'}")
    images = image_tower(f"transformers:{saved / 'clip'}", 3, 16)
    (texts(*texts.prepare(["a cat", "a dog"])).sum() + images(torch.rand(2, 3, 16, 16)).sum()).backward()
    learned = [weight for tower in (texts, images) for weight in tower.parameters() if weight.requires_grad]
    assert len(learned) > 20
    assert all(weight.grad is not None for weight in learned)


def test_weights_that_could_run_code_are_refused(saved: Path, tmp_path: Path) -> None:
    config = (saved / "bert" / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SettingError, match="safetensors"):
        text_tower(f"transformers:{tmp_path}")


def test_weights_that_are_not_all_there_are_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(saved / "vit" / "model.safetensors")
    gone = next(name for name in weights if "layernorm" in name)
    save_file({k: v for k, v in weights.items() if k != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text((saved / "vit" / name).read_text())
    with pytest.raises(SettingError, match="not complete"):
        image_tower(f"transformers:{tmp_path}", 3, 16)


def test_nothing_is_fetched(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra text is not installed")
    with pytest.raises(SettingError, match="nothing is fetched"):
        text_tower(f"transformers:{tmp_path / 'nowhere'}")


def test_a_function_in_the_current_folder_makes_a_tower(own: str) -> None:
    texts, images = text_tower(f"{own}:Letters"), image_tower(f"{own}:eye", 3, 4)
    (ids,) = texts.prepare(["cat", "dog"])
    assert (texts.features, images.features) == (6, 5)
    assert texts(ids).shape == (2, 6)
    assert images(torch.rand(7, 3, 4, 4)).shape == (7, 5)
    assert images.training


def test_looking_at_the_width_leaves_the_statistics_of_batch_norm_alone(own: str) -> None:
    tower = image_tower(f"{own}:eye", 1, 4)
    assert next(part for part in tower.modules() if isinstance(part, nn.BatchNorm1d)).num_batches_tracked == 0


def test_a_tower_for_anything_else_is_a_function_too(own: str) -> None:
    pytest.importorskip("transformers", reason="the extra text is not installed")
    tower = own_tower(f"{own}:ear", torch.rand(1, 160), {}).eval()
    assert tower(torch.rand(3, 160)).shape == (3, tower.features) == (3, 8)
    with pytest.raises(SettingError, match=r"floats \(2, 7, d\)"):
        own_tower(f"{own}:ear", torch.rand(1, 160), {}, steps=7)
    for spec in ("transformers:facebook/wav2vec2-base", "timm:resnet18"):
        with pytest.raises(SettingError, match="module:factory"):
            own_tower(spec, torch.rand(1, 160), {})


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("squeezed", r"\(3,\) for \(2, 3, 4, 4\)"),
        ("unpooled", r"\(2, 3, 4, 4\) for \(2, 3, 4, 4\)"),
        ("tuples", "a tuple"),
        ("broken", "no weights today"),
        ("number", "a int"),
        ("absent", "no absent in"),
        ("Ragged", "cannot encode"),
    ],
)
def test_what_is_no_encoder_of_pictures_is_refused_by_name(own: str, factory: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        image_tower(f"{own}:{factory}", 3, 4)
    assert f"{own}:{factory}" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nothing", "module:factory"),
        ("no_such_module_at_all:make", "cannot be imported"),
        ("not a name:make", "module:factory"),
        ("json:dumps", "factory that failed"),
        ("collections:Counter", "a Counter"),
        ("torch.nn:Identity", "no method prepare"),
        ("timm:resnet18", "pictures only"),
    ],
)
def test_what_is_no_encoder_of_texts_is_refused_by_name(spec: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        text_tower(spec)


def test_texts_that_lose_their_rows_are_refused(own: str) -> None:
    with pytest.raises(SettingError, match="one row for each text"):
        text_tower(f"{own}:Ragged")


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed beside a torchvision")
def test_timm_has_new_weights_or_those_of_a_file(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    model = timm.create_model("resnet18")
    file = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), file)
    tower = image_tower(f"timm:resnet18@{file}", 3, 32)
    torch.testing.assert_close(tower.network.backbone.conv1.weight, model.conv1.weight)  # type: ignore[union-attr]  # timm has no types
    for spec, words in ((f"timm:resnet34@{file}", "another model"), ("timm:resnet18@x.pth", "no file")):
        with pytest.raises(SettingError, match=words):
            image_tower(spec, 3, 32)


def test_without_timm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(SettingError, match="pip install timm"):
        image_tower("timm:resnet18", 3, 32)
