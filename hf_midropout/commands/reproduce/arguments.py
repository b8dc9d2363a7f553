"""The options of `hf-midropout reproduce`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..options.data import option


GROUPS = {
    "what is compared": "suite dataset method size seeds tuning_seeds model_name_or_path max_length list_methods",
    "the run": "output_dir workers help",
}


@dataclass
class ReproduceArguments:
    """Options of `hf-midropout reproduce`; each field is `--field`."""

    output_dir: str = field(
        default="midropout_study",
        metadata={"help": "Folder for results, tables, figures and the page. A study that is there goes on."},
    )
    suite: str = option(
        "quick",
        "'paper': heads on a frozen encoder, 200, 2,000 and all training rows of AG News, IMDB and Yelp, 10 seeds; "
        "'quick': 200 rows, 5 seeds; 'finetuned': the whole classifier, some methods, 200 and 2,000 rows, 3 seeds, a "
        "grid reduced to its middle.",
    )
    dataset: list[str] | None = option(
        None, "Other datasets: folders or Hub ids. None: fancyzhx/ag_news, stanfordnlp/imdb, fancyzhx/yelp_polarity."
    )
    method: list[str] | None = option(None, "Only these methods (see --list_methods). None: those of the suite.")
    size: list[int] | None = option(None, "Other training sizes, in rows; 0 for all. None: those of the suite.")
    seeds: int | None = option(None, "Number of seeds that are compared. None: that of the suite.")
    tuning_seeds: int | None = option(
        None,
        "Number of seeds by which a point of each method's grid is chosen; 0 for no choice, but its middle. None: "
        "that of the suite.",
    )
    model_name_or_path: str = option(
        "albert/albert-base-v2", "The encoder: a folder or a Hub id.", aliases=["--model"]
    )
    max_length: int | None = option(None, "Tokens to cut texts to. None: 128.")
    workers: int | None = option(None, "Processes that share the runs. None: one for each core.")
    list_methods: bool = option(False, "Say which methods and suites there are, and stop.")
