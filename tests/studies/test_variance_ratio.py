"""The trend that Rolinek et al. 2019 (arXiv:1812.06775) report: a linear VAE finds axes of unequal variances alone."""

import torch
from torch import Tensor

from disentangle_pl.metrics.encoding_shares import encoding_shares, share_matrix

RATIOS = (1.0, 1.2, 1.5)
SEEDS, STEPS, NOISE = 12, 3000, 0.6


def trained_encoders() -> Tensor:
    """Train linear VAEs on two Gaussians by the exact mean of their loss; codes of factors (ratios, seeds, 2, 2).

    Entry (j, k) is by how much latent j changes when factor k does, by one standard deviation.
    """
    draws = torch.Generator().manual_seed(0)
    shape = (len(RATIOS), SEEDS, 2, 2)
    mixing = torch.linalg.qr(torch.randn(shape, generator=draws)).Q
    factors = mixing * torch.tensor([[ratio, 1.0] for ratio in RATIOS])[:, None, None, :]
    encoder = torch.randn(shape, generator=draws).requires_grad_()
    decoder = torch.randn(shape, generator=draws).requires_grad_()
    logvar = torch.zeros(shape[:3], requires_grad=True)
    optimizer = torch.optim.Adam([encoder, decoder, logvar], lr=1e-2)
    for _ in range(STEPS):
        codes = encoder @ factors
        missed = (factors - decoder @ codes).square().sum((-2, -1))
        noise = (logvar.exp() * decoder.square().sum(-2)).sum(-1)
        kl = 0.5 * (codes.square().sum(-1) + logvar.exp() - logvar - 1).sum(-1)
        optimizer.zero_grad()
        ((missed + noise) / (2 * NOISE) + kl).sum().backward()
        optimizer.step()
    found: Tensor = (encoder @ factors).detach()
    return found


def test_unequal_variances_align_a_linear_vae() -> None:
    spreads = []
    for codes in trained_encoders():
        share = [share_matrix(some.square().T, some.square().sum(1)) for some in codes]
        spreads.append(float(torch.stack([encoding_shares(rows).spread for rows in share]).mean()))
    equal, close, apart = spreads
    assert equal > 0.4
    assert 0.5 * equal > close > apart
    assert apart < 0.02
