"""Names of the files of a tokenizer, for those who read, check, copy, publish and remove them."""

VOCABULARY_FILES = (
    "tokenizer.json", "spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.json",
    "vocab.txt",
)  # fmt: skip
"""Of which a folder with a tokenizer has one."""
LARGE_TOKENIZER_FILES = (*VOCABULARY_FILES, "merges.txt")
"""That grow with the vocabulary."""
TOKENIZER_FILES = (
    *LARGE_TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja",
)  # fmt: skip
