import numpy as np
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.studies.codes import encode
from disentangle_pl.studies.through_decoder import decoder_scores
from tests.models.tiny import sprites, tiny


def test_the_latents_that_say_something_are_scored() -> None:
    model = tiny().eval()
    table = encode(model, sprites(8))
    scores = decoder_scores(model, table._replace(kl=np.ones(3)), pairs=20, points=5)
    assert set(scores) == {"informative_by_kl", "consistency", "restrictiveness", "distance_to_orthogonality"}
    assert scores["informative_by_kl"] == 3
    assert 0 <= scores["consistency"] <= 1
    assert 0 <= scores["restrictiveness"] <= 1
    assert 0 <= scores["distance_to_orthogonality"] < 6**0.5
    assert scores == decoder_scores(model, table._replace(kl=np.ones(3)), pairs=20, points=5)
    fewer = decoder_scores(model, table._replace(kl=np.array([1.0, 0, 1])), pairs=20, points=5)
    assert fewer["informative_by_kl"] == 2
    assert fewer["consistency"] != scores["consistency"]


def test_a_collapsed_model_has_no_directions() -> None:
    model = tiny().eval()
    table = encode(model, sprites(8))
    assert decoder_scores(model, table._replace(kl=np.zeros(3))) == {"informative_by_kl": 0}
    with pytest.raises(InputError, match="without the KL"):
        decoder_scores(model, table._replace(kl=None))


def test_random_numbers_of_others_are_left_alone() -> None:
    model = tiny().eval()
    table = encode(model, sprites(8))._replace(kl=np.ones(3))
    before = torch.get_rng_state()
    decoder_scores(model, table, pairs=5, points=2)
    assert torch.equal(before, torch.get_rng_state())
