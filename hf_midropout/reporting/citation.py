"""How to cite the paper and this package; the same as in CITATION.cff."""

from __future__ import annotations

from ..version import __version__


CITATION = f"""\
@article{{song_mutual_information,
  title  = {{Novel Regularization Method Exploiting Mutual Information for Deep Neural Networks}},
  author = {{Song and Chen and Xia}}
}}

@software{{hf_midropout,
  title   = {{hf_midropout: mutual-information pruning for text classifiers trained with the Hugging Face Trainer}},
  author  = {{{{The hf-midropout maintainers}}}},
  version = {{{__version__}}}
}}"""
