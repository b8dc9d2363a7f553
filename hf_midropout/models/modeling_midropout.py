"""A masked dense head whose neurons can be dropped and physically removed, and what classifiers with one share.

This file travels with every checkpoint (`trust_remote_code`), as do `configuration_midropout.py` and the two files of
the checkpoint's architecture, so they import nothing else of the package.
"""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.utils import logging

from .configuration_midropout import MIDropoutHeadConfig, regularizers_package


if TYPE_CHECKING:
    from transformers import PreTrainedModel as Base
else:
    Base = object


logger = logging.get_logger(__name__)


class MaskedDense(nn.Module):
    """
    One dense layer of neurons: a linear map, an activation function, and a mask of the neurons that are kept.

    A neuron is one output unit after the activation function; a dropped neuron's output is exactly 0. With
    `mi_dropout`, a neuron's output is in training set to 0 with its own probability `drop_rate`, and else scaled up to
    keep its mean. (The flag says what the buffer says, see [`MIDropoutHead.follow_drop_rates`]; it is there because a
    compiled graph cannot ask, and because a draw at rates of 0 would shift all random numbers.)

    Args:
        in_features (`int`): Number of inputs.
        out_features (`int`): Number of neurons.
        activation (`str`): A key of `transformers.activations.ACT2FN`.
        mi_dropout (`bool`, *optional*, defaults to `False`): Whether `drop_rate` is in force.
    """

    mask: torch.Tensor
    drop_rate: torch.Tensor

    def __init__(self, in_features: int, out_features: int, activation: str, mi_dropout: bool = False):
        super().__init__()
        self.dense = nn.Linear(in_features, out_features)
        self.activation = ACT2FN[activation]
        # bool, so that casting the model to another dtype leaves it alone; persistent, so that it resumes and reloads.
        self.register_buffer("mask", torch.ones(out_features, dtype=torch.bool))
        self.register_buffer("drop_rate", torch.zeros(out_features))
        self.mi_dropout = mi_dropout

    def forward(
        self, hidden_states: torch.Tensor, read: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """`[..., in_features]` -> `[..., out_features]`; by `read` in place of the linear map, if given."""
        outputs = self.activation((read or self.dense)(hidden_states)).masked_fill(~self.mask, 0.0)
        if self.training and self.mi_dropout:
            keep = (1 - self.drop_rate).to(outputs.dtype)
            outputs = outputs * torch.bernoulli(keep.expand_as(outputs)) / keep
        return outputs


class AbsentRegularizer(nn.Module):
    """Stands for one of `hf_midropout.regularizers` where that is not installed: in training there is an error."""

    changes_loss = on_tokens = False
    samples = 1
    shapes: dict[str, Any] = {}

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def reset(self, init) -> None:
        """There is nothing to set."""

    def forward(self, *args):
        raise RuntimeError(
            f"head_regularizer={self.name!r} is not in this checkpoint's code: to train it install hf_midropout, or "
            "load the model with head_regularizer='dropout', head_dropout=None and head_regularizer_weight=None."
        )


class MIDropoutHead(nn.Module):
    """Hidden layers of [`MaskedDense`] neurons, then the output layer, whose units are never dropped."""

    acts_before_pooler = False
    """Whether the model applies a regularizer of tokens itself, where learned weights pool them for the head."""
    keeps_terms = False
    """Whether what the loss is made of is kept for [`take_terms`]."""

    def __init__(self, config: MIDropoutHeadConfig):
        super().__init__()
        widths = [config.hidden_size, *config.head_widths]
        self.layers = nn.ModuleList(
            MaskedDense(in_features, out_features, config.head_activation, config.mi_dropout)
            for in_features, out_features in pairwise(widths)
        )
        self.dropout = nn.Dropout((config.head_dropout or 0.0) if config.head_regularizer == "dropout" else 0.0)
        self.out_proj = nn.Linear(widths[-1], config.num_labels)
        self.regularizers = _regularizers(config)
        self.terms: tuple[torch.Tensor, torch.Tensor | None] | None = None
        # Of the head, not the model alone: an adapter library may copy the head and load it by itself.
        self.register_load_state_dict_post_hook(_follow_drop_rates)

    def hidden_layers(self) -> list[MaskedDense]:
        """From input to output."""
        return [cast(MaskedDense, layer) for layer in self.layers]

    def follow_drop_rates(self) -> bool | None:
        """
        Turns MI-Dropout on in all layers if any neuron has a `drop_rate` above 0, and else off: rates are what a
        checkpoint holds, whoever loads it. Returns which; `None` if the rates are not there yet (on the meta device).
        """
        rates = [layer.drop_rate for layer in self.hidden_layers()]
        if any(rate.is_meta for rate in rates):
            return None
        # A part on each process is all there is to ask for under FSDP.
        active = any(bool((getattr(rate, "full_tensor", lambda rate=rate: rate)() > 0).any()) for rate in rates)
        for layer in self.hidden_layers():
            layer.mi_dropout = active
        return active

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The vector of each text `[batch, hidden_size]` -> logits `[batch, num_labels]`."""
        if self.training and len(self.regularizers) > 0:
            logits, penalty = self.regularized(hidden_states)
            self.terms = (logits, penalty) if self.keeps_terms else None
            return logits.mean(0)
        for layer in self.layers:
            hidden_states = self.dropout(layer(hidden_states))
        return self.out_proj(hidden_states)

    def regularized(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """
        A forward pass in training, with `head_regularizer`. The loss is the mean of that of all logits, plus the
        second value.

        Returns:
            `tuple`: logits `[samples, batch, num_labels]`, where only `"multi_sample"` has more than one sample; and a
            scalar in nats, or `None`.
        """
        of_tokens = self.regularizer_of_tokens
        if of_tokens is not None:
            hidden_states = hidden_states if self.acts_before_pooler else of_tokens.noise(hidden_states)
            for layer in self.layers:
                hidden_states = layer(hidden_states)
            return self.out_proj(hidden_states)[None], None
        layers, penalties, read = self.hidden_layers(), [], None
        consumers = [*(layer.dense for layer in layers[1:]), self.out_proj]
        for layer, each, consumer in zip(layers, self.regularizers, consumers, strict=True):
            regularizer = cast(Any, each)
            neurons = layer(hidden_states, read)
            if read is None and regularizer.samples > 1:  # the first layer, which all samples share
                neurons = neurons.expand(regularizer.samples, *neurons.shape)
            neurons, penalty = regularizer(neurons, hidden_states, layer.mask, consumer)
            penalties += [] if penalty is None else [penalty]
            hidden_states, read = neurons.masked_fill(~layer.mask, 0.0), partial(regularizer.read, consumer)
        assert read is not None  # there is a hidden layer
        logits = read(hidden_states)
        return logits if logits.ndim > 2 else logits[None], sum(penalties[1:], penalties[0]) if penalties else None

    def regularizer_shapes(self, number: int) -> dict[str, tuple[int | None, int | None]]:
        """
        Which dimensions of what the regularizer of a hidden layer has learned are the layer's neurons, and its inputs,
        by name in this module's `state_dict`.
        """
        shapes = cast(Any, self.regularizers[number]).shapes if number < len(self.regularizers) else {}
        return {f"regularizers.{number}.{name}": dimensions for name, dimensions in shapes.items()}

    @property
    def regularizer_of_tokens(self) -> Any:
        """The one that acts before tokens are pooled, if that is what `head_regularizer` names."""
        return next((each for each in self.regularizers if each.on_tokens), None)

    def take_terms(self) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """What [`regularized`] gave in the forward pass before, once."""
        terms, self.terms = self.terms, None
        return terms

    def set_information(self, bits: list[torch.Tensor]) -> bool:
        """Tells regularizers that ask for it the `[K]` bits of each hidden layer; returns whether there are any."""
        asking: list[Any] = [each for each in self.regularizers if hasattr(each, "set_information")]
        for regularizer, layer, values in zip(asking, self.hidden_layers() if asking else [], bits, strict=False):
            regularizer.set_information(values, layer.mask)
        return bool(asking)


def _regularizers(config: MIDropoutHeadConfig) -> nn.ModuleList:
    """One for each hidden layer, one for tokens, or none."""
    name = config.head_regularizer
    if name in ("none", "dropout"):
        return nn.ModuleList()
    package = regularizers_package()
    if package is None:
        return nn.ModuleList(AbsentRegularizer(name) for _ in config.head_widths)
    return nn.ModuleList(package.make_regularizers(config))


def text_vector(hidden_states: torch.Tensor) -> torch.Tensor:
    """
    What a head reads of what it is given: `[batch, hidden_size]` as it is, or, of the hidden states of all tokens
    `[batch, tokens, hidden_size]`, the first token's.
    """
    return hidden_states[:, 0] if hidden_states.ndim == 3 else hidden_states


class MIDropoutTokensHead(MIDropoutHead):
    """The same in place of a stock head that is given the hidden states of all tokens: it reads the first one's."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`[batch, tokens, hidden_size]` or `[batch, hidden_size]` -> logits `[batch, num_labels]`."""
        return super().forward(text_vector(hidden_states))


def _follow_drop_rates(module: "MIDropoutHead", incompatible_keys=None) -> None:
    module.follow_drop_rates()


def _add_to_loss(model: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> Any:
    """A forward hook: the loss of a model in training whose regularizer changes it."""
    terms = model.classifier.take_terms()
    if terms is None:
        return outputs
    given = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    labels = given.get("labels", given.get("kwargs", {}).get("labels"))
    if labels is None:
        logger.warning_once(
            f"head_regularizer={model.config.head_regularizer!r} is part of the loss that the model computes, and it "
            "was given no labels: a loss computed from its logits lacks that part."
        )
        return outputs
    logits, penalty = terms
    is_tuple = isinstance(outputs, tuple)
    loss = outputs[0] if is_tuple else outputs.loss
    if len(logits) > 1:
        repeated = labels.repeat(len(logits), *[1] * (labels.ndim - 1))
        loss = model.loss_function(repeated, logits.flatten(0, 1), model.config)
    if penalty is not None:
        loss = loss + penalty
    if is_tuple:
        return (loss, *outputs[1:])
    outputs.loss = loss
    return outputs


def _before_pooler(head: MIDropoutHead, pooler: nn.Module, args: tuple) -> tuple | None:
    """A forward pre-hook of what pools tokens: they are regularized first, in training."""
    return (head.regularizer_of_tokens.noise(args[0]), *args[1:]) if head.training else None


def is_stock(name, options: dict[str, Any]) -> bool:
    """Whether a checkpoint, named as in `from_pretrained`, has no MI-Dropout head, by its configuration."""
    if name is None:
        return False
    where = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")
    config, _ = PreTrainedConfig.get_config_dict(name, **{key: options[key] for key in where if key in options})
    return "head_widths" not in config


class MIDropoutClassifierMixin(Base):
    """
    Makes a sequence classifier of transformers one whose `classifier` is a [`MIDropoutHead`], for a class that goes
    before it. In place of what stands between encoder and classifier without having been pretrained, the head reads
    the first token.

    Loads from any stock checkpoint of the architecture (the head is then new) and from its own checkpoints, masked or
    compact. Note that transformers keeps the dtype of the checkpoint: for training pass `dtype=torch.float32` if that
    is half precision.
    """

    # The losses are means over the batch: they ignore `num_items_in_batch`, which the Trainer would rely on.
    accepts_loss_kwargs = False
    _keys_to_ignore_on_load_missing = [r"\.mask$", r"\.drop_rate$", r"\.rank$"]

    head_class: type[MIDropoutHead] = MIDropoutHead
    pooler_of_tokens: str | None = None
    """The module, if there is one, whose learned weights make what the head reads of the encoder's output."""

    config: Any
    classifier: MIDropoutHead

    def __init__(self, config: MIDropoutHeadConfig):
        super().__init__(config)
        self.classifier = self.head_class(config)
        self.remove_unused()
        self.register_load_state_dict_post_hook(_follow_drop_rates)
        self._regularize()
        self.post_init()
        # What regularizers have learned serves training alone: the same weights load with another, or without.
        self._keys_to_ignore_on_load_unexpected.add(r"^classifier\.regularizers\.")

    def _regularize(self) -> None:
        """Lets the head's regularizer act where the head itself cannot."""
        head = self.classifier
        if any(each.changes_loss for each in head.regularizers):
            head.keeps_terms = True
            self.register_forward_hook(_add_to_loss, with_kwargs=True)
        if self.pooler_of_tokens and head.regularizer_of_tokens is not None:
            head.acts_before_pooler = True
            self.get_submodule(self.pooler_of_tokens).register_forward_pre_hook(partial(_before_pooler, head))

    def remove_unused(self) -> None:
        """Takes out modules of the stock classifier that the head replaces."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path=None, *args, **kwargs):
        if cls.head_class is MIDropoutTokensHead and is_stock(pretrained_model_name_or_path, kwargs):
            return cls._from_stock(pretrained_model_name_or_path, *args, **kwargs)
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).follow_drop_rates()
        return loaded

    @classmethod
    @torch.no_grad()
    def _from_stock(cls, *args, ignore_mismatched_sizes: bool = False, output_loading_info: bool = False, **kwargs):
        """The same, from a checkpoint whose `classifier.out_proj`, if it has one, is another layer than the head's."""
        model, info = super().from_pretrained(*args, ignore_mismatched_sizes=True, output_loading_info=True, **kwargs)
        names = [f"classifier.out_proj.{name}" for name in ("weight", "bias")]
        mismatched = {entry[0]: entry[1:] for entry in info["mismatched_keys"] if entry[0] not in names}
        if mismatched and not ignore_mismatched_sizes:
            name, (theirs, ours) = next(iter(sorted(mismatched.items())))
            raise RuntimeError(
                f"size mismatch of {len(mismatched)} weights, such as {name}: {list(theirs)} in the checkpoint, "
                f"{list(ours)} in the model."
            )
        if not set(names) <= set(info["missing_keys"]):
            nn.init.normal_(model.classifier.out_proj.weight, std=model.config.initializer_range)
            nn.init.zeros_(model.classifier.out_proj.bias)
            info["missing_keys"] = {*info["missing_keys"], *names}
        model.follow_drop_rates()
        return (model, info) if output_loading_info else model

    def follow_drop_rates(self) -> None:
        """As [`MIDropoutHead.follow_drop_rates`], for the configuration too."""
        active = self.classifier.follow_drop_rates()
        if active is not None:
            self.config.mi_dropout = active

    @torch.no_grad()
    def _init_weights(self, module):
        if module is not self:  # ModernBERT's would look for the weights of its own classifier
            super()._init_weights(module)
        if isinstance(module, MaskedDense):
            # BERT's N(0, 0.02²) would shrink the signal some fourfold per layer and stall a deep head.
            init.kaiming_normal_(module.dense.weight, nonlinearity="relu")
            # `from_pretrained` builds on the meta device and leaves missing buffers uninitialised.
            init.ones_(module.mask)
            init.zeros_(module.drop_rate)
        if hasattr(module, "changes_loss"):  # a regularizer, whose class is not of this file
            module.reset(init)

    def set_information(self, bits: dict[str, torch.Tensor]) -> bool:
        """
        Tells the head's regularizer, if it asks for that (`"drop_mi"`), the bits that neurons carry about the label.

        Args:
            bits (`dict[str, torch.Tensor]`): `[K]` by the names of [`masked_layers`].

        Returns:
            `bool`: whether it asks.
        """
        return self.classifier.set_information([bits[name] for name in self.masked_layers()])

    def masked_layers(self) -> dict[str, MaskedDense]:
        """The layers whose neurons are scored and dropped, by module name, from input to output."""
        return {f"classifier.layers.{index}": layer for index, layer in enumerate(self.classifier.hidden_layers())}

    @torch.no_grad()
    def compact(self):
        """
        Removes the dropped neurons physically. Under FSDP to be called on every process.

        Returns:
            [`~transformers.PreTrainedModel`]: a new model of this class with narrower layers that computes the same
            function, with the same parameters frozen and the same modules in training mode; this one is unchanged and
            shares no memory with it.

        Raises:
            `ValueError`: if a layer has no neuron left, or weights are not plain ones: quantised, or under an adapter.
        """
        adapters = {type(module).__name__ for module in self.modules() if type(module).__module__.startswith("peft.")}
        if adapters:
            raise ValueError(
                f"The model holds PEFT adapters ({', '.join(sorted(adapters))}): merge them first, as in "
                "`model.merge_and_unload().compact()`."
            )
        kept = {name: layer.mask.nonzero().flatten() for name, layer in self.masked_layers().items()}
        for name, index in kept.items():
            if len(index) == 0:
                raise ValueError(
                    f"{name} keeps 0 of {self.get_submodule(name).mask.numel()} neurons: needs at least 1."
                )
        config = copy.deepcopy(self.config)
        config.head_widths = [len(index) for index in kept.values()]
        with torch.random.fork_rng(devices=[]):  # the throw-away weights must not shift the caller's
            small = type(self)(config)
        state, expected = self.state_dict(), small.state_dict()
        for key in sorted(state.keys() | expected.keys()):
            if (
                key not in state
                or key not in expected
                or state[key].dtype.is_floating_point != (expected[key].dtype.is_floating_point)
            ):
                raise ValueError(
                    f"{key} is not what {type(small).__name__} has there: its layer is quantised or changed, and "
                    "has no rows to remove. Compact the model before that."
                )
        for key, tensor in state.items():
            # Under FSDP each process holds a part.
            state[key] = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor.detach()
        incoming = None
        for number, (name, index) in enumerate(kept.items()):
            weight = state[f"{name}.dense.weight"][index]
            state[f"{name}.dense.weight"] = weight if incoming is None else weight[:, incoming]
            state[f"{name}.dense.bias"] = state[f"{name}.dense.bias"][index]
            for buffer in ("mask", "drop_rate"):
                state[f"{name}.{buffer}"] = state[f"{name}.{buffer}"][index]
            for key, (rows, columns) in self.classifier.regularizer_shapes(number).items():
                values = state[f"classifier.{key}"]
                values = values if rows is None else values.index_select(rows, index)
                if columns is not None and incoming is not None:
                    values = values.index_select(columns, incoming)
                state[f"classifier.{key}"] = values
            incoming = index
        state["classifier.out_proj.weight"] = state["classifier.out_proj.weight"][:, incoming]

        # assign=True takes each tensor's dtype and device as they are; clone, or both models would share the encoder.
        small.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, assign=True)
        trained = {name: parameter.requires_grad for name, parameter in self.named_parameters()}
        for name, parameter in small.named_parameters():
            parameter.requires_grad_(trained[name])
        modes = {name: module.training for name, module in self.named_modules()}
        for name, module in small.named_modules():
            module.training = modes[name]
        small.name_or_path = self.name_or_path
        small.add_model_tags(self.model_tags or [])
        return small.to(self.device)


__all__ = ["MIDropoutClassifierMixin", "MIDropoutHead", "MIDropoutTokensHead", "MaskedDense"]
