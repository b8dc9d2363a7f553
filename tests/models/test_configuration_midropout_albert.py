import json

import pytest
from conftest import tiny_config
from transformers import AlbertConfig, BertConfig

from hf_midropout import MIDropoutAlbertConfig
from hf_midropout.model_types import auto_map


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("head_widths", [], "at least one width"),
        ("head_widths", [8, 0], r"head_widths=\[8, 0\]"),
        ("head_activation", "reluu", "'reluu'.*must be one of.*gelu"),
        ("head_dropout", 1.0, "head_dropout=1.0"),
        ("head_samples", 0, "head_samples=0: must be at least 1"),
    ],
)
def test_head_out_of_range_is_refused(field, value, message):
    with pytest.raises(Exception, match=message):
        tiny_config(**{field: value})


def test_without_the_package_the_rate_of_dropout_is_checked_too(monkeypatch):
    """As where the checkpoint's own files are all there is."""
    monkeypatch.setattr("hf_midropout.models.configuration_midropout.regularizers_package", lambda: None)
    tiny_config(head_dropout=0.5)
    with pytest.raises(Exception, match="head_dropout=1.0: must be at least 0 and less than 1"):
        tiny_config(head_dropout=1.0)


def test_round_trip(tmp_path):
    tiny_config(head_widths=[5, 4], head_activation="gelu").save_pretrained(tmp_path)
    loaded = MIDropoutAlbertConfig.from_pretrained(tmp_path)
    assert (loaded.head_widths, loaded.head_activation, loaded.num_labels) == ([5, 4], "gelu", 3)


def test_auto_map_names_all_classes_and_is_the_one_that_is_published(tmp_path):
    tiny_config().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == auto_map("albert")


def test_stock_albert_config_is_a_starting_point(tmp_path, caplog):
    AlbertConfig(hidden_size=32, num_attention_heads=2).save_pretrained(tmp_path)
    loaded = MIDropoutAlbertConfig.from_pretrained(tmp_path)
    assert (loaded.hidden_size, loaded.model_type) == (32, "midropout_albert")
    assert "You are using a model of type" not in caplog.text


def test_other_architectures_are_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'bert'.*reads 'albert'"):
        MIDropoutAlbertConfig.from_pretrained(tmp_path)
