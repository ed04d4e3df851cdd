"""SeqGAN's oracle: a language model that is the truth, with samples of it as data."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiscrete.experiments.data.download import ensure_files
from jaxdiscrete.experiments.data.sets import seqgan_oracle
from jaxdiscrete.experiments.language.corpus import (
    Metrics,
    draw,
    log_probs,
    mean_nll,
)
from jaxdiscrete.experiments.language.model import LanguageModel, Params

MODEL = LanguageModel(
    num_words=seqgan_oracle.NUM_WORDS,
    num_steps=seqgan_oracle.NUM_STEPS,
    embedding=seqgan_oracle.NUM_UNITS,
    hidden=seqgan_oracle.NUM_UNITS,
    ends=False,
)
#: Whole batches of 64 in the 10,000 sentences of the authors' code.
NUM_SENTENCES = 9_984
#: The seed of the sentences, the same ones for every run.
_SEED = 0
#: Names of the cell's gates and of the candidate in the files and in the network.
_GATES = {"i": "i", "f": "f", "og": "o", "c": "g"}


def load_params() -> Params:
    """The oracle's parameters, after downloading what is not there yet.

    Returns:
      Of :data:`MODEL`.

    Raises:
      UsageError: if a file is damaged, or missing and cannot be downloaded.
    """
    arrays = seqgan_oracle.read(ensure_files(seqgan_oracle.INFO))
    cell = {}
    for file, gate in _GATES.items():
        cell[f"i{gate}"] = {"kernel": arrays[f"w{file}"]}
        cell[f"h{gate}"] = {"kernel": arrays[f"u{file}"], "bias": arrays[f"b{file}"]}
    return {
        "embedding": arrays["embedding"],
        "cell": cell,
        "output": {"kernel": arrays["wo"], "bias": arrays["bo"]},
    }


@dataclasses.dataclass(frozen=True, eq=False)
class OracleCorpus:
    """Samples of the oracle to learn from, and its judgement of other samples."""

    oracle: Params
    train: np.ndarray
    valid: np.ndarray

    title = "SeqGAN's oracle"
    ends = False

    def metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> Metrics:
        """Nats per word of samples under the oracle, and of the oracle's under a model.

        Args:
          model: that is judged.
          params: of the model.
          key: PRNG key.
          num: samples, and sentences of the oracle. Static.

        Returns:
          ``nll_oracle`` and ``nll_test``, scalars.
        """
        samples = draw(model, params, key, num)
        return {
            "nll_oracle": mean_nll(MODEL, self.oracle, samples),
            "nll_test": mean_nll(model, params, self.valid[:num]),
        }

    def final_metrics(
        self, model: LanguageModel, params: Params, key: jax.Array, num: int
    ) -> dict[str, float]:
        """Those of :meth:`metrics`, with the standard error of the samples' mean.

        Args:
          model: that is judged.
          params: of the model.
          key: PRNG key.
          num: samples, and sentences of the oracle.

        Returns:
          ``nll_oracle``, ``nll_oracle_se`` and ``nll_test``.
        """
        samples = draw(model, params, key, num)
        each = -jnp.mean(log_probs(MODEL, self.oracle, samples), axis=1)
        return {
            "nll_oracle": float(each.mean()),
            "nll_oracle_se": float(each.std(ddof=1) / jnp.sqrt(len(each))),
            "nll_test": float(mean_nll(model, params, self.valid[:num])),
        }

    def show(self, sentence: np.ndarray) -> str:
        """The numbers of the words, which have no other names."""
        return " ".join(map(str, sentence))


@functools.cache
def load() -> OracleCorpus:
    """The oracle with sentences of it, which are drawn once in a process.

    Returns:
      The corpus.

    Raises:
      UsageError: as :func:`load_params`.
    """
    params = load_params()
    key_train, key_valid = jax.random.split(jax.random.key(_SEED))
    train, valid = (
        np.asarray(draw(MODEL, params, key, NUM_SENTENCES))
        for key in (key_train, key_valid)
    )
    return OracleCorpus(params, train, valid)
