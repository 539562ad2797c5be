from pathlib import Path

import pytest

from resources import profiles
from resources.platform_settings import SettingsError, keys, load
from resources.profiles import REPOSITORY, automation, chunk_days, engine, settings, start_date

EXAMPLE = REPOSITORY / "examples" / "platform.yaml"


@pytest.fixture
def write(tmp_path: Path, monkeypatch):
    """Writes the platform.yaml of a test, alone in the environment."""
    for name in [name for name in profiles.os.environ if name.startswith("PLATFORM_")]:
        monkeypatch.delenv(name)

    def written(text: str) -> Path:
        path = tmp_path / "platform.yaml"
        path.write_text(text)
        monkeypatch.setenv("PLATFORM_SETTINGS", str(path))
        return path

    return written


def test_every_section_reaches_what_it_sets(write, tmp_path: Path):
    write("""
profile: gpu
catalog: shop/catalog.yaml
lake: s3://bucket/shop/lake
models: {vision_language: "openai:http://vlm:8000/v1#tiny", language: none}
vision_language: {concurrency: 64, response_format: none, prompt_price: 0.4}
hardware: {device: "cuda:1", required: false, precision: bfloat16, price_per_hour: 2.49}
budget: {calls_a_day: 1000, dollars_a_day: 5}
engine: {kind: ray, workers: 2, gpus_per_worker: 0.5}
vector_index: {url: "http://qdrant:6333"}
pools: {gpu: 3}
days: {start_date: 2026-10-01, chunk_days: 3}
automation: {running: true, night_cron: "1 1 * * *", objectives: [fairness]}
limits: {reject_rate: 0.1}
""")
    chosen, used = settings(), profiles.resources()
    assert chosen.catalog == tmp_path / "shop" / "catalog.yaml"  # from the file's folder
    assert chosen.profile_name == "gpu"
    assert chosen.pools == {"gpu": 3, "gpu_train": 1}
    vlm = used["vision_language"]
    assert (vlm.model, vlm.concurrency) == ("openai:http://vlm:8000/v1#tiny", 64)
    assert vlm.ledger.caps() == {"calls": 1000, "dollars": 5}
    assert (used["gpu"].device, used["gpu"].precision) == ("cuda:1", "bfloat16")
    assert not used["gpu"].required
    assert (used["engine"].workers, used["engine"].gpus_per_worker) == (2, 0.5)
    assert used["index"].location == "http://qdrant:6333"
    assert used["lake"].root == "s3://bucket/shop/lake"
    assert used["limits"].reject_rate == 0.1
    assert chosen.profile.price_per_hour == 2.49
    assert (start_date(), chunk_days()) == ("2026-10-01", 3)
    ran = automation()
    assert (ran.running, ran.night_cron, ran.objectives) == (True, "1 1 * * *", ("fairness",))
    assert ran.deadline_cron == "0 6 * * *"  # left out: the default


def test_the_environment_goes_before_the_file(write, monkeypatch):
    write("""
profile: gpu
models: {vision_language: from-file}
engine: {kind: ray, workers: 2}
pools: {gpu: 3}
automation: {running: true, night_cron: "1 1 * * *"}
limits: {reject_rate: 0.1, coverage: 0.3}
""")
    for name, value in {
        "PROFILE": "laptop",
        "VISION_LANGUAGE": "from-environment",
        "ENGINE": "{workers: 5}",
        "POOLS": "gpu=4",
        "AUTOMATION": "off",
        "LIMITS": "{reject_rate: 0.2}",
    }.items():
        monkeypatch.setenv(f"PLATFORM_{name}", value)
    chosen = settings()
    assert chosen.profile_name == "laptop"
    assert chosen.profile.vision_language == "from-environment"
    assert chosen.pools["gpu"] == 4
    assert (engine().kind, engine().workers) == ("ray", 5)
    assert chosen.limits == {"reject_rate": 0.2, "coverage": 0.3}
    assert (automation().running, automation().night_cron) == (False, "1 1 * * *")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profle: gpu", "profle: there is no such key; did you mean profile?"),
        ("profile: big", "profile: .*'sandbox', 'laptop', 'gpu' or 'production'.*'big'"),
        ("models: {vision_langauge: x}", "models.vision_langauge: .* mean vision_language?"),
        ("models: {encoder: [x]}", "models.encoder: .*string"),
        ("vision_language: {concurrency: 0}", "vision_language.concurrency: .*greater than 0"),
        ("hardware: {device: gpu}", "hardware.device: .*pattern"),
        ("budget: {calls_a_day: -1}", "budget.calls_a_day: .*greater than or equal to 0"),
        ("engine: {kind: spark}", "engine.kind: .*'in-process' or 'ray'"),
        ("pools: {gpu: many}", "pools.gpu: .*integer"),
        ("days: {start_date: soon}", "days.start_date: "),
        ("automation: {night_cron: nightly}", "automation.night_cron: 'nightly' is not a cron"),
        ("limits: {reject_rate: 7}", "limits.reject_rate: .*less than or equal to 1"),
        ("[a, b]", "holds no settings"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_key_is_named(write, text: str, told: str):
    path = write(text)
    with pytest.raises(SettingsError, match=told) as caught:
        settings()
    assert str(path) in str(caught.value)


def test_all_wrong_keys_are_told_at_once(write):
    write("profle: gpu\npools: {gpu: 0, cpu: 1}")
    with pytest.raises(SettingsError) as caught:
        settings()
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        *("pools.gpu", "pools.cpu", "profle")
    ]


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("vision_language: {api_key: abc}", "PLATFORM_VISION_LANGUAGE_KEY"),
        ("language: {token: abc}", "PLATFORM_LANGUAGE_KEY"),
        ("vector_index: {api_key: abc}", "QDRANT_API_KEY"),
        ("models: {language: sk-0123456789}", "PLATFORM_LANGUAGE_KEY"),
        ('vector_index: {url: "https://me:pass@host:6333"}', "QDRANT_API_KEY"),
        ('lake: "s3://AKIA:secret@bucket/lake"', "AWS_SECRET_ACCESS_KEY"),
        ("postgres_password: abc", "DAGSTER_PG_URL"),
        ('models: {language: "openai:https://host/v1?api_key=abc#m"}', "PLATFORM_LANGUAGE_KEY"),
        ('models: {vision_language: "https://abc@host/v1"}', "PLATFORM_VISION_LANGUAGE_KEY"),
        ('models: {language: "bearer abc"}', "PLATFORM_LANGUAGE_KEY"),
        ("vector_index: {apiKey: abc}", "QDRANT_API_KEY"),
    ],
)
def test_a_secret_in_the_file_is_refused(write, text: str, variable: str):
    write(text)
    with pytest.raises(SettingsError, match=f"{variable} in the environment") as caught:
        settings()
    assert not {"abc", "pass@", "0123456789"} & set(str(caught.value).split())


@pytest.mark.parametrize(
    "text", ['a: b\napi_key: "abc', "api_key: abc\n- b: [", "hf_abcdef: {x: 1}"]
)
def test_what_is_no_yaml_and_what_is_a_key_of_the_file_is_not_shown(write, text: str):
    write(text)
    with pytest.raises(SettingsError) as caught:
        settings()
    assert "abc" not in str(caught.value)


def test_a_secret_in_the_models_of_a_catalog_is_refused(write, monkeypatch, tmp_path: Path):
    write("")
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text('models: {language: "openai:https://me:abc@host/v1#m"}')
    monkeypatch.setenv("PLATFORM_CATALOG", str(catalog))
    with pytest.raises(
        ValueError, match=r"models\.language holds an address with a user"
    ) as caught:
        settings()
    assert "abc@" not in str(caught.value)
    monkeypatch.setenv("PLATFORM_CATALOG", "https://shop.example/feed.csv?format=csv")
    settings()  # of a catalog's address a query is a part


def test_a_file_that_is_not_there_is_an_error(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PLATFORM_SETTINGS", str(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        settings()


def test_keys_come_from_the_environment_and_are_never_shown(write, monkeypatch):
    write('models: {vision_language: "openai:http://a/v1#m"}')
    monkeypatch.setenv("PLATFORM_VISION_LANGUAGE_KEY", "very-secret")
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql+psycopg2://u:very-secret@h/d")
    model = profiles.resources()["vision_language"]
    assert "very-secret" not in repr(model)
    assert model.api_key.env_var_name == "PLATFORM_VISION_LANGUAGE_KEY"
    assert model.ledger.url.env_var_name == "DAGSTER_PG_URL"


def test_every_key_is_in_the_example_and_in_the_documentation():
    example, docs = EXAMPLE.read_text(), (REPOSITORY / "docs" / "production.md").read_text()
    for key, description in keys():
        assert description, key
        assert f"`{key}`" in docs, key
        assert f"{key.rpartition('.')[2]}:" in example, key


def test_the_example_can_be_used(tmp_path: Path):
    assert load(EXAMPLE).profile == "production"
    # and with everything that it comments out
    lines = EXAMPLE.read_text().splitlines()
    full = [line.replace("#", "", 1) if line.lstrip().startswith("#") and ": " in line
            and not line.lstrip().startswith("# ") else line for line in lines]  # fmt: skip
    path = tmp_path / "full.yaml"
    path.write_text("\n".join(full))
    set_keys = {key for key, _ in keys() if _is_set(load(path), key)}
    assert set_keys == {key for key, _ in keys()}


def _is_set(section, key: str) -> bool:
    name, _, rest = key.partition(".")
    if not rest:
        return name in section.model_fields_set
    return _is_set(getattr(section, name), rest)
