"""`hf-midropout push`: publishes a checkpoint on the Hub."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from ..utils.narration import tell, write
from ..utils.terminal import folded, one_line
from .options.data import TOLD, Telling, option
from .options.parser import command_parser
from .output.narrating import narrate


POSITIONAL = ("checkpoint", "repo_id")


GROUPS = {
    "what is published, and where": "checkpoint repo_id private revision commit_message verify",
    "messages and help": TOLD,
}


@dataclass(kw_only=True)
class PushArguments(Telling):
    """Options of `hf-midropout push`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The checkpoint's folder, or the output of hf-midropout train. The option's name may be left out."
        }
    )
    repo_id: str = field(
        metadata={"help": "The repository, such as me/name, made if it does not exist. The name may be left out."}
    )
    private: bool = option(False, "Make a new repository private; refuse to push to a public one.")
    revision: str | None = option(None, "Branch to commit to, made if it does not exist. None: main.")
    commit_message: str | None = option(None, "Title of the commit. None: Upload MIDropout checkpoint.")
    verify: bool = option(False, "Pull it back, and compare all files, token ids, labels and logits.")


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        PushArguments,
        "push",
        "Publishes a checkpoint on the Hub in one commit: safetensors, tokenizer, config, code, report, "
        "figures and a model card merged with the one that is there. The token is that of `hf auth login` or "
        "of the environment variable HF_TOKEN.",
        GROUPS,
        positional=POSITIONAL,
    )


def main(args: PushArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for a checkpoint that is broken; nothing was sent.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    from ..checkpoints.checks import checkpoint_folder
    from ..hub.publishing import push

    narrate(args)
    folder = checkpoint_folder(args.checkpoint)
    tell(f"Pushing {folder} to {one_line(args.repo_id)}")
    published = push(
        folder,
        args.repo_id,
        private=args.private or None,
        revision=args.revision,
        commit_message=args.commit_message,
    )
    told = f"Pushed {folder} to {published.url}, commit {published.commit[:10]}: {', '.join(published.files)}."
    write(folded(told, "  "))
    if args.verify:
        from ..hub.verification import verify_published

        tell("Pulling it back, to compare")
        difference = verify_published(folder, published)
        told = (
            f"Pulled it back into an empty cache: all {len(published.digests)} files have the SHA-256 of what was "
            f"sent; token ids and labels are the same, logits differ by at most {difference:.1e}."
        )
        write(folded(told, "  "))
    tell(f'Next: hf-midropout predict {shlex.quote(args.repo_id)} --text "..."')
