"""Models and guides with masks, loops and mutable state."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan
from numpyro.handlers import mask

from tests.interop.numpyro.problems import (
    Problem,
    all_states,
    log_probabilities,
    vectors,
)


def exact_masked_loss(problem, plain, params):
    """The negated bound with its masks, over the states that are drawn without them.

    Args:
      problem: with masks.
      plain: the same one, in which nothing is masked.
      params: by name.
    """

    def one(*state):
        log_q, log_p = (
            sum(map(jnp.sum, side))
            for side in log_probabilities(problem, params, state)
        )
        drawn = sum(map(jnp.sum, log_probabilities(plain, params, state)[0]))
        return jnp.exp(drawn) * (log_q - log_p)

    return jax.vmap(one)(*all_states(problem)).sum()


def hidden(seen=(False, True, False), is_masked=True):
    """A masked site on which all rows depend, and a row that is masked.

    Args:
      seen: whether the site is, and the rows are, in the bound.
      is_masked: whether what is not seen is masked.
    """
    is_row = jnp.array(seen[1:])
    seen = [s or not is_masked for s in seen]
    rows = jnp.array(seen[1:])
    x = jnp.array([-1.0, 2.0])

    def model():
        a = numpyro.sample("a", dist.Bernoulli(0.4))
        with mask(mask=seen[0]):
            b = numpyro.sample("b", dist.Bernoulli(logits=1.0 - 2.0 * a))
        with numpyro.plate("rows", 2):
            level = numpyro.param("level", 0.0)
            c = numpyro.sample("c", dist.Bernoulli(logits=level + b).mask(rows))
            with mask(mask=rows):
                loc = 1.5 * c + 2.5 * b - a
                numpyro.sample("x", dist.Normal(loc, 1.0), obs=x)

    def guide():
        own = numpyro.param("own", jnp.zeros(2))
        of_rows = jnp.where(is_row, numpyro.param("of_rows", jnp.zeros(2)), 0.3)
        a = numpyro.sample("a", dist.Bernoulli(logits=own[0]))
        with mask(mask=seen[0]):
            b = numpyro.sample("b", dist.Bernoulli(logits=own[1] + 0.8 * a))
        with numpyro.plate("rows", 2), mask(mask=rows):
            q = dist.Bernoulli(logits=jnp.stack([of_rows + 0.5 * b], -1)).to_event(1)
            numpyro.sample("c_of_guide", q, infer={"is_auxiliary": True})
            numpyro.sample("c", dist.Bernoulli(logits=of_rows + 0.5 * b))

    params = {
        "level": jnp.array(-0.9),
        "own": jnp.array([-1.2, -0.6]),
        "of_rows": jnp.array([1.2, 1.1]),
    }
    bits = vectors(2, ())
    states = {
        "a": bits,
        "b": bits,
        "c_of_guide": vectors(2, (2, 1)),
        "c": vectors(2, (2,)),
    }
    return Problem(model, guide, params, states)


def looped(lengths=(3, 3), is_masked=True, is_mean_field=False):
    """Two chains in one loop, of which one may end before the other.

    Args:
      lengths: of the chains, 3 at most.
      is_masked: whether the steps after the end are masked.
      is_mean_field: whether the guide draws all steps in plates, without a loop.
    """
    x = jnp.array([[0.8, -0.5], [1.9, 1.2], [-0.7, 1.6]])
    is_step = np.arange(3)[:, None] < np.array(lengths)
    seen = jnp.array(is_step | (not is_masked))

    def all_logits():
        """Those of masked steps are no parameters: their gradient is noise."""
        own = numpyro.param("own", jnp.zeros(is_step.sum()))
        return jnp.full((3, 2), 0.3).at[np.nonzero(is_step)].set(own)

    def model():
        stay = numpyro.param("stay", 1.0)

        def step(z, row):
            x, seen = row
            with numpyro.plate("chains", 2), mask(mask=seen):
                q = dist.Bernoulli(logits=stay * (2.0 * z - 1.0))
                z = numpyro.sample("z", q)
                numpyro.sample("x", dist.Normal(1.5 * z, 1.0), obs=x)
            return z.astype(float), None

        scan(step, jnp.zeros(2), (x, seen))

    def guide():
        own, link = all_logits(), numpyro.param("link", 0.0)

        def step(z, row):
            logits, seen = row
            with numpyro.plate("chains", 2), mask(mask=seen):
                z = numpyro.sample("z", dist.Bernoulli(logits=logits + link * z))
            return z.astype(float), None

        scan(step, jnp.zeros(2), (own, seen))

    def mean_field():
        own = all_logits()
        with numpyro.plate("steps", 3, dim=-2), numpyro.plate("chains", 2):
            numpyro.sample("z", dist.Bernoulli(logits=own).mask(seen))

    own = jnp.array([[0.8, 1.4], [-0.6, -0.7], [-0.5, -0.6]])
    params = {
        "stay": jnp.array(1.8),
        "own": own[is_step],
        "link": jnp.array(0.9),
    }
    if is_mean_field:
        del params["link"]
    guide = mean_field if is_mean_field else guide
    return Problem(model, guide, params, {"z": vectors(2, (3, 2))})
