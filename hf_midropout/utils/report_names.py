"""Names of what a training leaves: the folder of its result, and report and record, JSON with arrays beside it."""

COMPACT = "compact"
REPORT = "midropout_report"
RECORD = "midropout_record"


def json_name(stem: str) -> str:
    """The file of what people read."""
    return f"{stem}.json"


def arrays_name(stem: str) -> str:
    """The file of the values per neuron."""
    return f"{stem}.safetensors"


REPORT_NAME, REPORT_ARRAYS = json_name(REPORT), arrays_name(REPORT)
RECORD_FILES = (json_name(RECORD), arrays_name(RECORD))
MAX_ARRAYS_BYTES = 256 * 2**20
"""100,000 neurons scored 101 times, in float64: more than that no report may hold."""
