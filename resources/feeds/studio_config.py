"""studio.yaml: which prompts, ratings and images the text-to-image model is tuned to."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from resources.addresses import secret_in_address
from resources.yaml_files import UnusableYaml, read_yaml, wrong_keys

EXAMPLE = 'name: mine\nratings:\n  - {path: "ratings/{day}.jsonl", format: pairs}\nimages: images'

Objective = Literal["preference", "fairness", "composition"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _without_secret(path: str) -> str:
    if reason := secret_in_address(path, queries=True):
        raise ValueError(f"{reason} is refused: access to a store is given by the environment")
    return path


Location = Annotated[Name, AfterValidator(_without_secret)]  # a path, or a URI
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Words = Annotated[list[Word], Field(max_length=10_000)]


class StudioConfigError(dg.Failure, ValueError):
    """A studio.yaml that cannot be used; the message names the file and the setting.

    A failure, so that the page of a run begins with the message.
    """


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Templates(_Settings):
    """Words of our own templates, and how many scenes (pairs of objects) to draw from them."""

    occupations: Words = []
    held_out_occupations: Words = []
    people_with: Words = []
    objects: Words = []
    held_out_objects: Words = []
    plural_objects: Words = []
    colours: Words = []
    relations: Annotated[Words, Field(min_length=1)] = [
        *("and", "next to", "near", "on side of", "beside")  # the paper's
    ]
    scenes: Annotated[int, Field(ge=0, le=100_000)] = 400
    held_out_scenes: Annotated[int, Field(ge=0, le=100_000)] = 200
    preference: Annotated[list[str], Field(max_length=10_000)] = []


class PromptFile(_Settings):
    """A file of prompts. Those of a held-out file are never trained on.

    Without a `format`, the file says what it is; without a `column`, the prompts are in the first
    one that is called like them. A column may be a path (`data.prompt`).
    """

    path: Location
    format: Literal["parti", "geneval", "compbench", "lines", "csv"] | None = None
    objective: Objective | None = None  # of geneval and compbench composition, else preference
    held_out: bool = False
    column: Name | None = None


class RatingColumns(_Settings):
    """Where the parts of a rating stand: names of columns, or paths (`data.image_1`)."""

    prompt: Name | None = None
    a: Name | None = None
    b: Name | None = None
    choice: Name | None = None
    rater: Name | None = None

    @model_validator(mode="after")
    def _both_images(self) -> "RatingColumns":
        if (self.a is None) != (self.b is None):
            raise ValueError("a and b: both images of a pair, or none")
        return self


class RatingFile(_Settings):
    """A file of ratings (a day, if its path has {day}).

    Attributes:
        format: What it is where the names of its columns do not say it.
        pixels: Whether its images are there.
        columns: Those that are not found by their names.
        words: What words of choice mean, before those that are known.
    """

    path: Location
    format: Literal["pairs", "agiqa", "imagereward"] = "pairs"
    pixels: bool = True
    columns: RatingColumns = RatingColumns()
    words: dict[Word, Literal["a", "b", "tie"]] = {}


class RewardFolders(_Settings):
    """Folders of reward models that are there, each with a reward.json, to use instead of training
    one; that of a judge holds the three others' of its own."""

    preference: Location | None = None
    person: Location | None = None
    objects: Location | None = None
    judge: Location | None = None


class StudioConfig(_Settings):
    """The contents of a studio.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=60)]
    templates: Templates | None = None
    prompts: list[PromptFile] = []
    ratings: list[RatingFile] = []
    images: Location | None = None
    people: Location | None = None  # Parquet files of labelled pictures, for the reward models
    objects: Location | None = None
    captioned: Location | None = None
    rewards: RewardFolders = RewardFolders()
    day: date | None = None

    @model_validator(mode="after")
    def _days_are_of_ratings(self) -> "StudioConfig":
        for index, file in enumerate(self.prompts):
            if "{day}" in file.path:
                raise ValueError(f"prompts.{index}.path: prompts have no day, so no {{day}}")
        return self

    @classmethod
    def load(cls, path: str | Path) -> "StudioConfig":
        """Reads a studio.yaml.

        Raises:
            StudioConfigError: the file is missing, is not YAML, or has a wrong setting.
        """
        path = Path(path)
        if not path.exists():
            raise StudioConfigError(f"{path}: no such file. Make it, for example with:\n{EXAMPLE}")
        try:
            content = read_yaml(path)
        except UnusableYaml as error:
            raise StudioConfigError(f"{path}: cannot be read: {error}") from None
        if not isinstance(content, dict):
            raise StudioConfigError(f"{path}: holds no settings. For example:\n{EXAMPLE}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            lines = [f"{path}: wrong settings:", *wrong_keys(error)]
            raise StudioConfigError("\n".join(lines)) from None
