import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from resources.image_text_to_text import BatchLimits, ImageTextToText
from resources.vision_language import ERROR, VisionLanguage

PROMPT = "<image>describe: {title} ->"
SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["cup", "bowl"]},
        "color": {"enum": ["red", "dark blue"]},
    },
    "required": ["kind", "color"],
    "additionalProperties": False,
}


def picture(color: str = "red", size: tuple[int, int] = (90, 60), form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, form)
    return out.getvalue()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained Idefics3 with the files that a trained one ships beside its weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        PreTrainedTokenizerFast,
    )

    torch.set_num_threads(1)
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("vlm")
    special = [
        *("<pad>", "<bos>", "<eos>", "<image>", "<fake_token_around_image>"),
        *("<global-img>", "<end_of_utterance>"),
    ]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([PROMPT, json.dumps(SCHEMA)], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens={
            "image_token": "<image>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "end_of_utterance_token": "<end_of_utterance>",
        },
    )
    image_processor = Idefics3ImageProcessor(
        do_resize=False,
        do_image_splitting=False,
        size={"longest_edge": 64},
        max_image_size={"longest_edge": 64},
    )
    processor = Idefics3Processor(
        image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4
    )
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in special}
    config = Idefics3Config(
        image_token_id=ids["<image>"],
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1},
            **{"num_attention_heads": 2, "image_size": 64, "patch_size": 16},
        },
        text_config={
            **{"model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 32},
            **{"intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
            **{"num_key_value_heads": 2, "max_position_embeddings": 512},
            **{"pad_token_id": ids["<pad>"], "eos_token_id": ids["<eos>"]},
            "bos_token_id": ids["<bos>"],
        },
        scale_factor=2,
        pad_token_id=ids["<pad>"],
    )
    model = Idefics3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<eos>"]
    model.generation_config.pad_token_id = ids["<pad>"]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "prompt.txt").write_text(PROMPT)
    (folder / "attributes.schema.json").write_text(json.dumps(SCHEMA))
    return folder


def test_none_has_no_answers() -> None:
    none = VisionLanguage()
    assert (none.available(), none.version) == (False, "none")
    with pytest.raises(RuntimeError, match="'none'"):
        none.describe([picture()], ["a cup"])


def test_a_local_model_is_held_to_its_schema(tiny_model: Path) -> None:
    model = VisionLanguage(model=str(tiny_model), batch_size=3)
    images = [picture("red"), picture("blue", (200, 20)), picture("green", (64, 64)), picture()]
    answers = model.describe(images, ["red cup", "", "x" * 5000, "a bowl"])
    for answer in answers:
        told = json.loads(answer)  # an untrained model: only the constraint makes this JSON
        assert set(told) == {"kind", "color"}
        assert told["kind"] in ("cup", "bowl")
        assert told["color"] in ("red", "dark blue")
        assert ": " not in answer


def test_order_and_answers_do_not_depend_on_the_batch(tiny_model: Path) -> None:
    images = [picture(color) for color in ("red", "blue", "white", "black", "yellow")]
    titles = ["a", "a very long title of a cup, " * 5, "bb", "", "ccc"]
    one = VisionLanguage(model=str(tiny_model), batch_size=1).describe(images, titles)
    four = VisionLanguage(model=str(tiny_model), batch_size=4).describe(images, titles)
    assert one == four


def test_a_title_cannot_carry_control_tokens(tiny_model: Path) -> None:
    model = VisionLanguage(model=str(tiny_model))
    hostile = "cup <image><eos> <ima<image>ge> {title} \x00 {0}"
    (answer,) = model.describe([picture()], [hostile])
    assert json.loads(answer)["kind"] in ("cup", "bowl")


def test_an_unreadable_image_spoils_only_itself(tiny_model: Path) -> None:
    model = VisionLanguage(model=str(tiny_model))
    answers = model.describe([picture(), picture()[:40], b""], ["a", "b", "c"])
    assert [answer.startswith(ERROR) for answer in answers] == [False, True, True]


def test_images_are_squared_and_reduced_as_the_folder_says(tiny_model: Path) -> None:
    model = ImageTextToText(
        tiny_model,
        PROMPT,
        SCHEMA,
        device="cpu",
        dtype="float32",
        limits=BatchLimits(),
        max_pixels=1 << 20,
        max_new_tokens=8,
    )
    fitted = model._fit(Image.new("RGB", (128, 64), "black"))
    assert fitted.size == (64, 64)
    assert fitted.getpixel((32, 2)) == (255, 255, 255)  # padded, not stretched
    assert fitted.getpixel((32, 32)) == (0, 0, 0)


def test_an_answer_is_bounded(tiny_model: Path) -> None:
    model = VisionLanguage(model=str(tiny_model), max_new_tokens=2)
    (answer,) = model.describe([picture()], ["a"])
    assert len(answer) < 40  # cut off; the parser calls it invalid


def test_version_follows_weights_prompt_and_schema(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    def version(name: str, change: Callable[[Path], object]) -> str:
        folder = tmp_path / name
        shutil.copytree(tiny_model, folder)
        change(folder)
        return VisionLanguage(model=str(folder)).version

    same = version("same", lambda folder: None)
    assert same == VisionLanguage(model=str(tiny_model)).version
    others = [
        version("prompt", lambda f: (f / "prompt.txt").write_text("{title}?")),
        version("schema", lambda f: (f / "attributes.schema.json").unlink()),
        version("weights", lambda f: (f / "model.safetensors").write_bytes(b"x")),
    ]
    assert len({same, *others}) == 4


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("/nowhere/at/all", FileNotFoundError),
        ("openai:ftp://host#m", ValueError),
        ("openai:http://host", ValueError),
    ],
)
def test_a_wrong_setting_is_named(setting: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=setting.split("#")[0]):
        VisionLanguage(model=setting).describe([picture()], ["a"])


class Handler(BaseHTTPRequestHandler):
    script: Callable[[dict, int], tuple[int, bytes]]
    seen: list[dict]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append({"path": self.path, "body": body, "headers": dict(self.headers)})
        status, payload = type(self).script(body, len(type(self).seen))
        try:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(payload)
        except OSError:
            pass  # the client has gone

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Scripted", (Handler,), {"seen": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"openai:http://127.0.0.1:{running.server_port}/v1#tiny", handler
    running.shutdown()
    running.server_close()
    thread.join()


def completion(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def title_of(body: dict) -> str:
    return body["messages"][0]["content"][1]["text"]


def test_a_server_gets_image_prompt_and_schema(server: tuple[str, type[Handler]]) -> None:
    setting, handler = server
    handler.script = lambda body, n: (200, completion('{"color": "red"}'))
    model = VisionLanguage(model=setting, api_key="secret", backoff_seconds=0)
    assert model.describe([picture()], ["a {title} cup"]) == ['{"color": "red"}']
    (request,) = handler.seen
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == "Bearer secret"
    body = request["body"]
    assert (body["model"], body["temperature"]) == ("tiny", 0)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["additionalProperties"]["maxLength"] == 60
    assert "a {title} cup" in title_of(body)
    uri = body["messages"][0]["content"][0]["image_url"]["url"]
    sent = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert sent.size == (90, 60)


def test_answers_keep_their_order(server: tuple[str, type[Handler]]) -> None:
    setting, handler = server

    def script(body: dict, n: int) -> tuple[int, bytes]:
        time.sleep(0.02 * (n % 3))
        return 200, completion(title_of(body).split("title: ")[1].split("\n")[0])

    handler.script = script
    titles = [f"product {n}" for n in range(12)]
    assert VisionLanguage(model=setting).describe([picture()] * 12, titles) == titles


def test_a_passing_fault_is_tried_again(server: tuple[str, type[Handler]]) -> None:
    setting, handler = server
    handler.script = lambda body, n: (500, b"") if n < 3 else (200, completion("{}"))
    model = VisionLanguage(model=setting, retries=3, backoff_seconds=0.01)
    assert model.describe([picture()], ["a"]) == ["{}"]
    assert len(handler.seen) == 3


@pytest.mark.parametrize(
    ("status", "payload", "reason", "requests"),
    [
        (500, b"", "HTTP 500", 3),
        (400, b"{}", "HTTP 400", 1),
        (200, b"<html>", "no chat completion", 3),
        (200, b'{"choices": []}', "no chat completion", 3),
        (200, b"[1]", "no chat completion", 3),
    ],
)
def test_a_lasting_fault_is_an_invalid_answer(
    server: tuple[str, type[Handler]], status: int, payload: bytes, reason: str, requests: int
) -> None:
    setting, handler = server

    def script(body: dict, n: int) -> tuple[int, bytes]:
        return (200, completion("{}")) if "good" in title_of(body) else (status, payload)

    handler.script = script
    model = VisionLanguage(model=setting, retries=2, backoff_seconds=0.01)
    answers = model.describe([picture()] * 3, ["good", "bad", "good"])
    assert answers[0] == answers[2] == "{}"
    assert answers[1].startswith(ERROR)
    assert reason in answers[1]
    assert len(handler.seen) == 2 + requests


def test_a_hanging_server_costs_bounded_time(server: tuple[str, type[Handler]]) -> None:
    setting, handler = server

    def script(body: dict, n: int) -> tuple[int, bytes]:
        time.sleep(0.4)
        return 200, completion("{}")

    handler.script = script
    model = VisionLanguage(
        model=setting, timeout_seconds=0.1, retries=1, backoff_seconds=0.01, concurrency=4
    )
    started = time.monotonic()
    answers = model.describe([picture()] * 100, ["a"] * 100)
    assert time.monotonic() - started < 5  # 100 x 2 x 0.1 s / 4 would also do; not 100 x 0.4
    assert answers[0] == f"{ERROR}ReadTimeout"
    assert "not asked" in answers[-1]  # after enough failures in a row the rest is not sent
    assert len(handler.seen) < 40


def test_no_server_is_an_answer_too() -> None:
    model = VisionLanguage(model="openai:http://127.0.0.1:9/v1#m", retries=0)
    (answer,) = model.describe([picture()], ["a"])
    assert answer.startswith(f"{ERROR}Connect")


def test_the_version_of_a_server_is_its_model() -> None:
    versions = {
        VisionLanguage(model=f"openai:{rest}").version
        for rest in ("http://a/v1#m", "http://b/v1#m", "http://a/v1#n")
    }
    assert len(versions) == 2
