"""The CUDA kernel, compiled for the CPU, counts as torch does on a GPU, to the last count."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from hf_midropout.information.counting.binning import add_counts
from hf_midropout.information.counting.by_class import count_classes
from hf_midropout.information.counting.cuda_kernel import MOST_ROWS, Tile, defines, rows_of_block, tile_for
from hf_midropout.information.counting.cuda_source import SOURCE
from hf_midropout.information.counting.edges import NUM_BINS, stream_edges


ON_H100, ON_A100, ON_T4 = 227 * 1024, 163 * 1024, 64 * 1024
SIGNATURE = """
extern "C" void run(int columns, int parts, int* cells, int* nonfinite, unsigned long long* ignored,
                    unsigned long long* invalid, const void* activations, const long long* labels, const float* edges,
                    int rows, int neurons, int row_stride, int neuron_stride, int rows_of_block) {
    launch(count_activations, columns, parts, THREADS, SHARED_BYTES / 4, cells, nonfinite, ignored, invalid,
           (const Stored*)activations, labels, edges, rows, neurons, row_stride, neuron_stride, rows_of_block);
}
"""
CONFIGURATIONS = [
    pytest.param(torch.bfloat16, 4, ON_H100, id="bfloat16"),
    pytest.param(torch.float16, 3, 48 * 1024, id="float16 of 8 neurons", marks=pytest.mark.slow),
    pytest.param(torch.float32, 60, ON_H100, id="float32 of many classes", marks=pytest.mark.slow),
    pytest.param(torch.float32, 7, ON_A100, id="float32", marks=pytest.mark.slow),
    pytest.param(torch.bfloat16, 40, ON_H100, id="bfloat16 of 4 neurons", marks=pytest.mark.slow),
    pytest.param(torch.float16, 20, ON_T4, id="float16 of many classes", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """built(dtype, classes, shared_bytes): the compiled kernel's function and its tile."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    folder, made = tmp_path_factory.mktemp("cuda"), {}

    def build(dtype, classes, shared_bytes):
        key = (dtype, classes, shared_bytes)
        if key not in made:
            tile = tile_for(classes, shared_bytes)
            source = folder / f"{len(made)}.cpp"
            source.write_text(
                defines(tile, classes, dtype, 2 * tile.neurons)
                + f"#define SHARED_BYTES {tile.shared_bytes}\n"
                + Path(__file__).with_name("cuda_on_cpu.h").read_text()
                + SOURCE
                + SIGNATURE
            )
            command = [compiler, "-std=c++20", "-O0", "-w", "-pthread", "-shared", "-fPIC", source]
            done = subprocess.run([*command, "-o", source.with_suffix(".so")], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            made[key] = ctypes.CDLL(str(source.with_suffix(".so"))).run, tile
        return made[key]

    return build


def count(built, key, activations, labels, edges, block_rows=MOST_ROWS, before=None):
    """Cells, nonfinite, ignored and invalid."""
    run, tile = built(*key)
    classes, neurons = key[1], len(edges)
    counted = before or (
        torch.zeros(neurons * NUM_BINS * classes + 1, dtype=torch.int32),
        torch.zeros(neurons, dtype=torch.int32),
        torch.zeros((), dtype=torch.int64),
        torch.zeros((), dtype=torch.int64),
    )
    pointers = [ctypes.c_void_p(each.data_ptr()) for each in (*counted, activations, labels, edges)]
    rows = len(activations)
    grid = -(-neurons // tile.neurons), -(-rows // block_rows)
    run(*grid, *pointers, rows, neurons, *activations.stride(), block_rows)
    assert counted[0][-1] == 0
    return counted


def check(built, key, activations, labels, edges, block_rows=MOST_ROWS):
    cells, nonfinite, ignored, invalid = count(built, key, activations, labels, edges, block_rows)
    left_out = (labels < 0) | (labels >= key[1])
    expected = torch.zeros_like(cells)
    count_classes(expected, activations.double(), labels, left_out, edges.double())
    assert torch.equal(cells[:-1], expected[:-1])
    assert torch.equal(nonfinite, (~activations.isfinite()).sum(0, dtype=torch.int32))
    assert int(ignored) == int((labels == -100).sum())
    assert int(invalid) == int((left_out & (labels != -100)).sum())


def made(rows, neurons, key, seed):
    """Activations with ties and special values, labels of which some are left out, edges that are activations."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(rows, neurons, generator=generator)
    activations[:, ::3] = activations[:, ::3].relu()
    activations[:, 1::3] = activations[:, 1::3].round()
    activations = activations.to(key[0])
    edges = stream_edges(activations[: max(1, rows // 2)].float())
    special = [torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1e-40, -1e-40, 6e-8, 3e-6, 65504.0, -65504.0]
    for value in special:
        row, neuron = (
            torch.randint(0, rows, (3,), generator=generator),
            torch.randint(0, neurons, (3,), generator=generator),
        )
        activations[row, neuron] = value
    labels = torch.randint(-1, key[1] + 1, (rows,), generator=generator)
    labels[torch.rand(rows, generator=generator) < 0.1] = -100
    return activations, labels, edges


@pytest.mark.parametrize("key", [pytest.param(p.values, id=p.id, marks=p.marks) for p in CONFIGURATIONS])
def test_counts_are_those_of_torch(built, key):
    for seed, (rows, neurons) in enumerate([(1, 1), (150, 7), (257, 33)]):
        activations, labels, edges = made(rows, neurons, key, seed)
        check(built, key, activations, labels, edges)
        check(built, key, activations, labels, edges, block_rows=100)
    views = {
        "transposed": activations.t().contiguous().t(),
        "every second row": activations.repeat_interleave(2, 0)[::2],
        "part of the neurons": torch.cat([activations, activations], 1)[:, neurons:],
        "one row for all": activations[:1].expand(rows, neurons),
    }
    for view in views.values():
        check(built, key, view, labels, edges)


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0**-24, 6.1e-5, 65504.0])
def test_float16_is_read_exactly(built, value):
    """An edge at the value and one just above it: the value is between them."""
    key = torch.float16, 3, 48 * 1024
    activations = torch.tensor([[value]], dtype=torch.float16)
    edges = activations.float().repeat(1, NUM_BINS - 1)
    edges[:, 300:] = torch.nextafter(edges[:, 300:], torch.tensor(torch.inf))
    cells = count(built, key, activations, torch.tensor([1]), edges)[0]
    assert cells[300 * 3 + 1] == 1 and int(cells.sum()) == 1


def test_edges_that_are_equal_or_not_finite(built):
    key = CONFIGURATIONS[0].values
    activations, labels, edges = made(200, 35, key, seed=9)
    edges[0] = 0.0
    edges[1, :200], edges[1, 300:] = -torch.inf, torch.inf
    edges[2, 500:] = torch.nan  # sorted, they come last
    check(built, key, activations, labels, edges)


def test_the_most_rows_of_a_block_in_one_cell(built):
    """16 bits hold them; two bins share a word, and one does not run over into the other."""
    key = CONFIGURATIONS[0].values
    edges = torch.linspace(-1, 1, NUM_BINS - 1)[None].contiguous()
    for value in (-2.0, 2.0, 0.0, torch.nan):
        activations = torch.full((2 * MOST_ROWS + 5, 1), value, dtype=torch.bfloat16)
        cells, _, _, _ = count(built, key, activations, torch.full((len(activations),), 2), edges)
        assert int(cells.max()) == len(activations) == int(cells.sum())


def test_counts_add_to_those_of_before_and_are_those_of_the_cpu(built):
    key = CONFIGURATIONS[0].values
    activations, labels, edges = made(300, 9, key, seed=4)
    labels = labels.clamp(0, 3)
    activations = activations.nan_to_num(1.0)
    before = None
    for some in (slice(0, 50), slice(50, 300)):
        before = count(built, key, activations[some], labels[some].clone(), edges, before=before)
    expected = torch.zeros(9, NUM_BINS, 4, dtype=torch.int32)
    add_counts(expected, activations.float(), labels, edges)
    assert torch.equal(before[0][:-1], expected.flatten())


@pytest.mark.parametrize("classes", [2, 4, 6, 7, 20, 55, 1000])
@pytest.mark.parametrize("shared_bytes", [48 * 1024, ON_T4, ON_A100, ON_H100])
def test_tiles_fit_into_shared_memory(classes, shared_bytes):
    tile = tile_for(classes, shared_bytes)
    assert tile.shared_bytes <= shared_bytes and 32 % tile.neurons == 0
    words = tile.neurons * (511 + 256 * classes * tile.has_counts) + 1
    assert tile.shared_bytes == 4 * words


def test_tiles_of_common_devices():
    assert tile_for(4, ON_H100) == Tile(32, True, 196_484)
    assert tile_for(4, ON_A100).neurons == 16


@pytest.mark.parametrize("rows", [1, 2047, 8192, 65_536, 1_000_000])
@pytest.mark.parametrize("tiles", [1, 24, 96, 5000])
def test_rows_of_a_block(rows, tiles):
    of_block = rows_of_block(rows, tiles, 132)
    parts = -(-rows // of_block)
    assert 1 <= of_block <= MOST_ROWS
    assert parts == 1 or of_block > 2000
    assert parts * tiles <= max(132 + tiles, tiles * -(-rows // MOST_ROWS))
