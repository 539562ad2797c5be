"""The tiny Idefics3: its configuration, its processor, and how a product becomes its tokens."""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

from sandbox.photos import MODEL_SIZE
from sandbox.train.tokenizers import SKELETON, add_pieces, corpus, train_bytes
from sandbox.vocabulary import VALUES

PROMPT = "Title: {title}"
PAD, START, END, UNKNOWN = "<pad>", "<s>", "<end_of_utterance>", "<unk>"
IMAGE, FAKE, GLOBAL = "<image>", "<fake_token_around_image>", "<global-img>"
USER, ASSISTANT = "<user>", "<assistant>"
SPECIAL = [PAD, START, UNKNOWN, END, IMAGE, FAKE, GLOBAL, USER, ASSISTANT]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<end_of_utterance>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
PATCH, SCALE = 8, 2
IMAGE_TOKENS = (MODEL_SIZE // PATCH // SCALE) ** 2
MEAN = STD = 0.5


@dataclass(frozen=True)
class Size:
    """Width and depth of the two towers."""

    width: int = 128
    vision_layers: int = 3
    text_layers: int = 2
    heads: int = 4
    vocabulary: int = 1_500


def build_tokenizer(size: Size, seed: int = 0) -> PreTrainedTokenizerFast:
    """Byte-level BPE over the world's titles, padded on the left for generation."""
    backend = train_bytes(corpus(seed, 20_000), size.vocabulary - len(SKELETON) - 1, SPECIAL)
    add_pieces(backend, [*SKELETON, PROMPT.split("{", maxsplit=1)[0]])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        extra_special_tokens={
            "image_token": IMAGE,
            "fake_image_token": FAKE,
            "global_image_token": GLOBAL,
            "end_of_utterance_token": END,
        },
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Idefics3Processor:
    """The processor that `AutoProcessor` finds again; photos come in at the model's own size."""
    edge = {"longest_edge": MODEL_SIZE}
    images = Idefics3ImageProcessor(
        do_resize=False,
        do_image_splitting=False,
        size=edge,
        max_image_size=edge,
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
    )
    return Idefics3Processor(
        images, tokenizer, image_seq_len=IMAGE_TOKENS, chat_template=CHAT_TEMPLATE
    )


def build_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> Idefics3ForConditionalGeneration:
    """A model with random weights."""
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = Idefics3Config(
        vision_config={
            "hidden_size": size.width,
            "intermediate_size": 2 * size.width,
            "hidden_act": "relu",  # gelu costs a tenth of a training step on a CPU
            "num_hidden_layers": size.vision_layers,
            "num_attention_heads": size.heads,
            "image_size": MODEL_SIZE,
            "patch_size": PATCH,
        },
        text_config={
            "model_type": "llama",
            "hidden_size": size.width,
            "intermediate_size": 2 * size.width,
            "num_hidden_layers": size.text_layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.heads,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 256,
            "tie_word_embeddings": True,
            "pad_token_id": pad,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": end,
        },
        scale_factor=SCALE,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        tie_word_embeddings=True,
        pad_token_id=pad,
    )
    model = Idefics3ForConditionalGeneration(config)
    model.generation_config.pad_token_id = pad
    model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.generation_config.eos_token_id = end
    model.generation_config.do_sample = False
    model.generation_config.max_new_tokens = 48
    return model


def prompt_text(title: str) -> str:
    """What the processor expands for one photo and its title."""
    text = PROMPT.format(title=title)
    image = FAKE + GLOBAL + IMAGE * IMAGE_TOKENS + FAKE
    return f"{USER}{image}{text}{END}{ASSISTANT}"


def pixel_values(photos: np.ndarray) -> torch.Tensor:
    """uint8 (n, 64, 64, 3) as the image processor would give them: (n, 1, 3, 64, 64)."""
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2).unsqueeze(1).float()
    return (pixels / 255.0 - MEAN) / STD


def whiten_patches(model: Idefics3ForConditionalGeneration, photos: np.ndarray) -> None:
    """Starts the patch embedding as a whitening of real patches.

    Weave and grain are a hundredth of the variance of a patch; a random embedding drowns them in
    colour, and the material of a product is then learnt last, if at all. Whitened, a thread
    weighs as much as a hue.

    Args:
        model: With random weights.
        photos: uint8 (n, 64, 64, 3); the patches of their middle, where the product is, are used.
    """
    pixels = pixel_values(photos)[:, 0, :, PATCH:-PATCH, PATCH:-PATCH]
    patches = pixels.unfold(2, PATCH, 4).unfold(3, PATCH, 4)  # n, 3, rows, columns, 8, 8
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * PATCH * PATCH).double()
    mean = patches.mean(0)
    variance, directions = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    embedding = model.model.vision_model.embeddings.patch_embedding
    width = embedding.weight.shape[0]
    # 3e-4 is ten times the variance of the film grain: noise must not be blown up.
    scale = 0.5 / (variance[-width:] + 3e-4).sqrt()
    kernels = (directions[:, -width:] * scale).T
    with torch.no_grad():
        embedding.weight.copy_(kernels.reshape(embedding.weight.shape).float())
        embedding.bias.copy_(-(kernels @ mean).float())


class ReadOut(torch.nn.Module):
    """One classifier per key that looks where it likes among the vision tokens; only for training.

    Through the answer alone the vision tower hears little of what it missed; asked directly it
    learns fine differences several times sooner. A neck is two tokens of 64: a mean over all of
    them hides it, hence one attention query per key.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleDict(
            {key: torch.nn.Linear(width, len(values)) for key, values in VALUES.items()}
        )
        self.queries = torch.nn.Parameter(torch.randn(len(VALUES), width) * 0.02)

    def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of tokens (n, patches, width); label -1 where a key does not apply."""
        attention = (tokens @ self.queries.T).softmax(dim=1)  # n, patches, keys
        pooled = torch.einsum("npk,npw->knw", attention, tokens)
        losses = [
            torch.nn.functional.cross_entropy(
                head(pooled[column]), labels[:, column], ignore_index=-1
            )
            for column, head in enumerate(self.heads.values())
        ]
        hard = torch.tensor([2.0 if key in ("material", "neck") else 1.0 for key in VALUES])
        return (torch.stack(losses) * hard).mean()


def labels_of(truths: list[dict[str, str]]) -> torch.Tensor:
    """The number of each key's value, (n, keys); -1 where the key does not apply."""
    rows = [
        [values.index(truth[key]) if key in truth else -1 for key, values in VALUES.items()]
        for truth in truths
    ]
    return torch.tensor(rows)
