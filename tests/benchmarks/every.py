"""Every estimator on one small problem: time, memory, arithmetic, compilation.

Sixteen binary variables, or five of three classes for the estimators that are made for
classes, and a hidden layer as f. A step is the gradient of the mean over a batch, with
respect to the parameters of q, the weights of f and those of the control variate.
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdiscrete as jd
from tests.battery.control_variates import initial_cv
from tests.battery.estimators import ALL as ENTRIES
from tests.battery.estimators import MAIN, build
from tests.benchmarks.timing import (
    interleaved_times,
    ratio_interval,
    seconds_to_compile,
)

FEATURES, HIDDEN, BATCH = 8, 32, 100
#: The shape of the logits and the distribution.
KINDS = {"bits": ((16,), jd.Bernoulli), "classes": ((5, 3), jd.OneHotCategorical)}
#: What the others are compared with.
BASE = "reinforce"
#: Between them the page of the documentation has the table.
BEGIN, END = "<!-- every estimator: begin -->", "<!-- every estimator: end -->"


def kind_of(name):
    """What an estimator of the battery is measured on, a key of KINDS."""
    return "classes" if ENTRIES[name].kind == "categorical" else "bits"


def problem(kind, batch=BATCH):
    """Weights, numbers of the control variate, inputs and a key per example."""
    shape, _ = KINDS[kind]
    size = int(np.prod(shape))
    keys = jax.random.split(jax.random.key(0), 5)
    model = {
        "encoder": jax.random.normal(keys[0], (FEATURES, size)) / jnp.sqrt(FEATURES),
        "hidden": jax.random.normal(keys[1], (size, HIDDEN)) / jnp.sqrt(size),
        "out": jax.random.normal(keys[2], (HIDDEN,)) / jnp.sqrt(HIDDEN),
    }
    x = jax.random.normal(keys[3], (batch, FEATURES))
    return model, initial_cv(), x, jax.random.split(keys[4], batch)


def loss_of_example(name, kind):
    """``(model, cv, x, key) -> estimate`` of one example."""
    shape, distribution = KINDS[kind]

    def loss(model, cv, x, key):
        def f(z, *args):
            return jnp.tanh(z.reshape(-1) @ model["hidden"]) @ model["out"]

        logits = (x @ model["encoder"]).reshape(shape)
        return build(name, f, cv)(key, distribution(logits))

    return loss


def gradients(name, kind):
    """``(model, cv, x, keys) -> gradients`` of every example, along a leading axis."""
    gradient = jax.grad(loss_of_example(name, kind), argnums=(0, 1))
    return jax.vmap(gradient, in_axes=(None, None, 0, 0))


def step(name, kind):
    """``(model, cv, x, keys) -> gradient`` of the mean over the batch."""
    each = jax.vmap(loss_of_example(name, kind), in_axes=(None, None, 0, 0))
    return jax.grad(lambda *args: each(*args).mean(), argnums=(0, 1))


def calls_of(name):
    """How often f is called, in words."""
    entry = ENTRIES[name]
    calls = (
        str(entry.num_repeats) if entry.num_repeats > 1 else entry.facts.calls.formula
    )
    return f"K = {entry.size.num_samples}" if calls == "K" else calls


def measure(names, rounds, batch=BATCH):
    """A row for every name; the first of a kind is what the others are divided by.

    Args:
      names: of the battery, without that of the base.
      rounds: of the interleaved times.
      batch: how many examples.

    Returns:
      A list of dictionaries.
    """
    pairs = [(n, kind_of(n)) for n in names if n != BASE]
    kinds = sorted({kind for _, kind in pairs})
    pairs = [(BASE, kind) for kind in kinds] + pairs
    seconds, programs, costs = {}, {}, {}
    for name, kind in pairs:
        args = problem(kind, batch)
        made = seconds_to_compile(lambda n=name, k=kind: step(n, k), args)
        seconds[name, kind], compiled = made
        programs[name, kind] = lambda c=compiled, a=args: c(*a)
        memory = compiled.memory_analysis().temp_size_in_bytes
        costs[name, kind] = (compiled.cost_analysis()["flops"], memory)
    times = interleaved_times(programs, rounds)
    rows = []
    for name, kind in pairs:
        this, base = (name, kind), (BASE, kind)
        rows.append(
            {
                "estimator": name,
                "kind": kind,
                "calls": calls_of(name),
                "time": ratio_interval(times[this], times[base]),
                "operations": costs[this][0] / costs[base][0],
                "memory": costs[this][1] / costs[base][1],
                "seconds_to_compile": seconds[this],
                "compile": seconds[this] / seconds[base],
            }
        )
    return rows


def markdown(rows):
    """The rows as a table for the documentation."""
    lines = [
        "| estimator | variables | calls | time | operations | memory | compilation |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        median, low, high = row["time"]
        of_time = f"{median:.2f} [{low:.2f}, {high:.2f}]"
        others = (row[key] for key in ("operations", "memory", "compile"))
        cells = (f"`{row['estimator']}`", row["kind"], row["calls"], of_time)
        lines.append(f"| {' | '.join([*cells, *(f'{x:.1f}' for x in others)])} |")
    return "\n".join(lines)


def write_page(page, rows):
    """Writes the table between the two marks of a page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{page} has no {BEGIN} ... {END}"
    page.write_text(f"{before}{BEGIN}\n{markdown(rows)}\n{end}{after}")


def steps(rounds):
    """Every estimator of the battery, against REINFORCE on the same variables."""
    rows = measure(MAIN, max(20, rounds // 5))
    print(markdown(rows))
    return rows
