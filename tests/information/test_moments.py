import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.information.moments import SecondMoments, Variances, moments_by_group


@given(
    cuts=st.lists(st.integers(1, 99), max_size=3),
    offset=st.sampled_from([0.0, 1e3, -1e5]),
    exact=st.booleans(),
    labelled=st.booleans(),
    seed=st.integers(0, 5),
)
def test_moments_are_those_of_all_rows_at_once(cuts, offset, exact, labelled, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(100, 4, generator=generator) @ torch.randn(4, 4, generator=generator) + offset
    labels = torch.randint(0, 3, (100,), generator=generator)
    bounds = [0, *sorted(set(cuts)), 100]
    parts = []
    for part in range(2):  # two parts, merged: batches of odd numbers in the one, of even numbers in the other
        moments = SecondMoments(4, 3 if labelled else None, exact=exact)
        for first, last in list(zip(bounds, bounds[1:], strict=False))[part::2]:
            moments.update(values[first:last], labels[first:last] if labelled else None)
        parts.append(moments)
    parts[0].merge(parts[1])
    mean, covariance = parts[0].moments()
    assert parts[0].num_samples == 100 and mean.dtype == covariance.dtype == torch.float64
    tolerance = 1e-9 if exact else 2e-3
    torch.testing.assert_close(mean, values.double().mean(0), rtol=1e-12 if exact else 1e-6, atol=tolerance)
    torch.testing.assert_close(covariance, values.double().t().cov(correction=0), rtol=tolerance, atol=tolerance)


@given(seed=st.integers(0, 20))
def test_covariance_within_classes(seed):
    generator = torch.Generator().manual_seed(seed)
    values, labels = torch.randn(60, 3, generator=generator).double(), torch.randint(-1, 3, (60,), generator=generator)
    labels[labels < 0] = -100
    labels[:2] = torch.tensor([0, 1])
    moments = SecondMoments(3, 5)
    moments.update(values[:20], labels[:20])
    moments.update(values[20:], labels[20:])
    total, within = moments.covariances()
    known = labels >= 0
    assert moments.num_samples == known.sum()
    torch.testing.assert_close(total, values[known].t().cov(correction=0))
    centred = values.clone()
    for label in labels[known].unique():
        centred[labels == label] -= values[labels == label].mean(0)
    torch.testing.assert_close(within, centred[known].t() @ centred[known] / known.sum())


def test_groups_each_have_their_own():
    chunks = [{"a": torch.randn(5, 2), "b": torch.randn(5, 3)} for _ in range(3)]
    for name, moments in moments_by_group(chunks).items():
        values = torch.cat([chunk[name] for chunk in chunks]).double()
        torch.testing.assert_close(moments.covariance, values.t().cov(correction=0))


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="no samples"):
        SecondMoments(2).moments()
    with pytest.raises(ValueError, match="labels=None: needs a label for each sample, as num_classes=3"):
        SecondMoments(2, 3).update(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"activations \(4, 3\)"):
        SecondMoments(2).update(torch.zeros(4, 3))


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_weights_are_as_copies(offset):
    generator = torch.Generator().manual_seed(0)
    values, copies = torch.randn(60, 4, generator=generator) + offset, torch.randint(0, 4, (60,), generator=generator)
    weighted, repeated = SecondMoments(4), SecondMoments(4)
    variances = Variances(4)
    for part in range(0, 60, 20):
        rows, times = values[part : part + 20], copies[part : part + 20]
        weighted.update(rows, weights=times.float())
        repeated.update(rows.repeat_interleave(times, 0))
        variances.update(rows.repeat_interleave(times, 0))
    for one, other in zip(weighted.moments(), repeated.moments(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(variances.variance, repeated.moments().covariance.diagonal(), rtol=1e-4, atol=1e-4)
