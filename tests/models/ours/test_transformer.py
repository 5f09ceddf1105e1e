"""What the transformer promises about cells: they are sets of genes, and what is hidden, absent or next to them counts
for nothing."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.cells.batch import Inputs
from bench.errors import BadInput
from bench_ours import transformer
from bench_ours.config import Architecture
from bench_ours.transformer import Block, CellTransformer, States, SwiGLU, rank_bucket

CELLS, LENGTH, GENES = 5, 12, 40
ENCODERS = ("continuous", "binned", "rank", "soft")


def inputs(seed: int = 0, *, hide: str = "value", **changes: Any) -> Inputs:
    """Cells with 7 to 12 genes, a third of them hidden; the last cell has none."""
    draw = torch.Generator().manual_seed(seed)
    genes = torch.stack([torch.randperm(GENES, generator=draw)[:LENGTH] for _ in range(CELLS)])
    present = torch.arange(LENGTH) < torch.tensor([12, 9, 7, 8, 0])[:, None]
    hidden = (torch.rand(CELLS, LENGTH, generator=draw) < 1 / 3) & present
    values = torch.randint(1, 9, (CELLS, LENGTH), generator=draw).float()
    withheld = hidden | ~present
    depth = values.sum(1)
    return replace(
        Inputs(
            genes=genes.masked_fill(withheld if hide == "gene" else ~present, 0),
            values=values.masked_fill(withheld if hide == "value" else ~present, 0),
            present=present,
            hidden=hidden,
            depth=depth,
            target_depth=depth,
        ),
        **changes,
    )


def model(outputs: int = 2, **choices: Any) -> CellTransformer:
    torch.manual_seed(1)
    made = CellTransformer(Architecture(**{"size": "nano", **choices}), GENES, outputs)
    return made.eval()


def shown(states: States, batch: Inputs) -> Tensor:
    """States of genes that are there, and of CLS; float (n, d)."""
    return torch.cat([states.cls, states.genes[batch.present]])


def per_token(batch: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """The batch with every (B, L) tensor changed."""
    return replace(batch, **{name: change(getattr(batch, name)) for name in ("genes", "values", "present", "hidden")})


@pytest.mark.parametrize("attention", ["full", "generative"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_order_of_genes_moves_their_states_and_nothing_else(encoder: str, attention: str) -> None:
    batch, order = inputs(), torch.randperm(LENGTH, generator=torch.Generator().manual_seed(3))
    made = model(expression_encoder=encoder, attention=attention)
    there, moved = made(batch), made(per_token(batch, lambda tensor: tensor[:, order]))
    assert torch.allclose(moved.cls, there.cls, atol=1e-5)
    present = batch.present[:, order]
    assert torch.allclose(moved.genes[present], there.genes[:, order][present], atol=1e-5)


def test_heads_split_by_reshaping_alone_would_mix_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug of a public cell classifier, where (B, T, d) becomes (B, heads, T, d / heads) without a transpose."""

    def attend(self: Block, x: Tensor, visible: Tensor | None) -> Tensor:
        split = (len(x), self.heads, x.shape[1], -1)
        q, k, v = (part.reshape(split) for part in self.queries_keys_values(x).chunk(3, dim=-1))
        return self.attended(F.scaled_dot_product_attention(q, k, v, attn_mask=visible).reshape(x.shape))

    monkeypatch.setattr(Block, "_attend", attend)
    with pytest.raises(AssertionError):
        test_the_order_of_genes_moves_their_states_and_nothing_else("continuous", "full")


@pytest.mark.parametrize("attention", ["full", "generative"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_changes_no_cell(encoder: str, attention: str) -> None:
    batch, made = inputs(), model(expression_encoder=encoder, attention=attention)
    longer = made(per_token(batch, lambda tensor: F.pad(tensor, (0, 20))))
    there = made(batch)
    assert torch.allclose(longer.cls, there.cls, atol=1e-6)
    assert torch.allclose(longer.genes[:, :LENGTH][batch.present], there.genes[batch.present], atol=1e-6)


def test_what_stands_in_padding_is_not_read() -> None:
    batch, made = inputs(), model()
    filled = replace(
        batch, genes=batch.genes.masked_fill(~batch.present, 7), values=batch.values.masked_fill(~batch.present, 99)
    )
    assert torch.equal(shown(made(filled), batch), shown(made(batch), batch))


def test_the_cells_beside_it_change_no_cell() -> None:
    batch, made = inputs(), model()
    whole = made(batch)
    for cell in range(CELLS):
        alone = replace(
            per_token(batch, lambda tensor, cell=cell: tensor[[cell]]),
            depth=batch.depth[[cell]],
            target_depth=batch.target_depth[[cell]],
        )
        assert torch.allclose(made(alone).cls, whole.cls[[cell]], atol=1e-6)


@pytest.mark.parametrize("attention", ["full", "generative"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_cell_without_genes_has_finite_states_and_gradients(encoder: str, attention: str) -> None:
    made = model(expression_encoder=encoder, attention=attention, scale="depth").train()
    states = made(replace(inputs(), depth=torch.zeros(CELLS)))
    assert torch.isfinite(states.cls).all()
    assert torch.isfinite(states.genes).all()
    (states.cls[:, 0].sum() + made.decoder.expression(states.genes).square().sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


def test_a_batch_known_to_be_full_needs_no_mask_and_gives_the_same() -> None:
    batch, made = inputs(present=torch.ones(CELLS, LENGTH, dtype=torch.bool)), model()
    assert made._visible(replace(batch, padded=False)) is None
    assert torch.allclose(made(replace(batch, padded=False)).genes, made(batch).genes, atol=1e-6)


def test_a_hidden_value_is_not_read_even_where_a_collator_left_it() -> None:
    batch, made = inputs(), model()
    left = replace(batch, values=batch.values.masked_fill(batch.hidden, 1000))
    assert torch.equal(shown(made(left), batch), shown(made(batch), batch))


def test_a_model_that_names_genes_reads_the_values_of_hidden_ones_and_not_which_they_are() -> None:
    batch, made = inputs(hide="gene"), model(outputs=0, expression_encoder="rank")
    assert torch.equal(
        shown(made(replace(batch, genes=batch.genes.masked_fill(batch.hidden, 7))), batch), shown(made(batch), batch)
    )
    other = replace(batch, values=batch.values + batch.hidden)
    assert not torch.equal(shown(made(other), batch), shown(made(batch), batch))


def test_generative_attention_lets_no_token_see_a_hidden_one() -> None:
    batch = inputs()
    others = replace(batch, genes=torch.where(batch.hidden, (batch.genes + 1) % GENES, batch.genes))
    for attention, same in (("generative", True), ("full", False)):
        made = model(attention=attention)
        before, after = made(batch), made(others)
        known = batch.present & ~batch.hidden
        assert torch.allclose(before.cls, after.cls, atol=1e-6) is same
        assert torch.allclose(before.genes[known], after.genes[known], atol=1e-6) is same
        assert not torch.allclose(before.genes[batch.hidden], after.genes[batch.hidden], atol=1e-2)


def test_generative_attention_lets_hidden_tokens_see_what_is_known() -> None:
    batch, made = inputs(), model(attention="generative")
    known = batch.present & ~batch.hidden
    richer = replace(batch, values=batch.values + known)
    assert not torch.allclose(made(richer).genes[batch.hidden], made(batch).genes[batch.hidden], atol=1e-3)


def test_one_hidden_token_is_predicted_alike_whichever_others_are_asked_for() -> None:
    """What generative attention is for: any number of unknown genes in one pass, each as if it were the only one."""
    batch, made = inputs(), model(attention="generative")
    cell = 0
    hidden = batch.hidden[cell].nonzero()[:, 0]
    assert len(hidden) > 1
    alone = batch.present.clone()
    alone[cell, hidden[1:]] = False
    state = made(replace(batch, present=alone, hidden=batch.hidden & alone)).genes[cell, hidden[0]]
    assert torch.allclose(state, made(batch).genes[cell, hidden[0]], atol=1e-6)


def test_scale_depth_reads_shares_and_raw_reads_counts() -> None:
    batch = inputs(hidden=torch.zeros(CELLS, LENGTH, dtype=torch.bool))
    doubled = replace(batch, values=batch.values * 2, depth=batch.depth * 2)
    for scale, same in (("depth", True), ("raw", False)):
        for encoder in ("continuous", "soft"):
            made = model(expression_encoder=encoder, scale=scale, depth_token=False)
            assert torch.allclose(made(batch).cls, made(doubled).cls, atol=1e-5) is same


def test_without_an_order_ranks_leave_only_the_set_of_genes() -> None:
    batch = inputs()
    shuffled = replace(batch, values=batch.values.flip(1))
    for order, same in (("none", True), ("embedding", False)):
        made = model(expression_encoder="rank", rank_order=order, depth_token=False)
        assert torch.equal(made(batch).cls, made(shuffled).cls) is same


def test_rank_buckets_grow_in_step_with_the_logarithm() -> None:
    ranks = torch.arange(5000)
    buckets = rank_bucket(ranks, 64)
    expected = [min(63, int(64 * math.log(1 + rank) / math.log(4096) + 1e-9)) for rank in range(5000)]
    assert buckets.tolist() == expected
    assert torch.equal(rank_bucket(ranks.float(), 64), buckets)
    assert len(set(expected[:5])) == 5


def test_depth_and_covariates_are_seen_and_an_unknown_one_has_its_own_embedding() -> None:
    torch.manual_seed(0)
    config = Architecture(size="nano", covariates=("batch", "type"))
    made = CellTransformer(config, GENES, 1, covariates={"type": 2, "batch": 3}).eval()
    batch = inputs(covariates={"batch": torch.zeros(CELLS).long(), "type": torch.tensor([0, 1, -1, -1, 0])})
    there = made(batch).cls
    assert not torch.allclose(made(replace(batch, depth=batch.depth + 50)).cls, there, atol=1e-4)
    for codes in ([1, 0, 0, 1, -1], [-1, -1, 1, 0, 1]):
        other = replace(batch, covariates={**batch.covariates, "type": torch.tensor(codes)})
        assert (made(other).cls - there).abs().amax(1).min() > 1e-4


@pytest.mark.parametrize("label_tokens", [False, True])
def test_a_label_is_read_off_cls_or_off_a_token_of_its_own(label_tokens: bool) -> None:
    # these columns are called like attributes of torch's modules
    config = Architecture(size="nano", labels=("type", "keys", "cell.type"), label_tokens=label_tokens, label_hidden=16)
    made = CellTransformer(config, GENES, 1, labels={"keys": 3, "type": 2, "cell.type": 4})
    states = made(inputs())
    assert {column: made.decoder.label(column, states.labels[column]).shape[1] for column in states.labels} == {
        "type": 2, "keys": 3, "cell.type": 4,
    }  # fmt: skip
    own = [not torch.equal(state, states.cls) for state in states.labels.values()]
    assert own == [label_tokens] * 3


def test_hidden_genes_are_named_with_the_embedding_they_are_read_with() -> None:
    made, batch = model(outputs=0), inputs(hide="gene")
    logits = made.decoder.identity(made(batch).genes[batch.hidden])
    assert logits.shape == (int(batch.hidden.sum()), GENES)
    before = made.encoder.genes.weight.detach().clone()
    F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long)).backward()
    # every gene is moved by the logits, not only those of the batch
    assert (made.encoder.genes.weight.grad.abs().sum(1) > 0).all()
    assert sum("genes" in name for name in made.state_dict()) == 1
    assert torch.equal(made.encoder.genes.weight, before)


def test_any_gene_is_predicted_from_cls_alone() -> None:
    made, batch = model(outputs=3), inputs()
    asked = torch.arange(8).expand(CELLS, -1)
    cls = made(batch).cls
    outputs = made.decoder.generate(cls, made.encoder.genes(asked))
    assert outputs.shape == (CELLS, 8, 3)
    query = made.decoder.of_gene(made.encoder.genes(asked))[2, 5]
    key = made.decoder.of_cell(cls)[2].view(3, -1)
    assert torch.allclose(outputs[2, 5], key @ query / math.sqrt(32), atol=1e-6)


def test_heads_that_nothing_is_learned_with_are_not_made() -> None:
    bare = CellTransformer(Architecture(size="nano"), GENES, 2, heads=())
    full = CellTransformer(Architecture(size="nano"), GENES, 2)
    assert not list(bare.decoder.parameters())
    assert full(inputs()).cls.shape == bare(inputs()).cls.shape


def test_the_mean_of_the_genes_is_an_embedding_too() -> None:
    batch = inputs()
    made = model(pooling="mean")
    embedded, states = made.embed(batch), made(batch).genes
    assert torch.allclose(embedded[1], states[1, :9].mean(0), atol=1e-6)
    assert torch.equal(embedded[-1], torch.zeros(32))
    assert torch.equal(model().embed(batch), model()(batch).cls)
    two = replace(batch, segments=torch.arange(LENGTH) // 6)
    made = model(pooling="mean", previous=True)
    assert torch.allclose(made.embed(two)[1], made(two).genes[1, :6].mean(0), atol=1e-6)


def tabled(table: Tensor | None, **choices: Any) -> CellTransformer:
    torch.manual_seed(0)
    return CellTransformer(Architecture(size="nano", gene_encoder="table", **choices), GENES, 2, gene_table=table)


def test_a_gene_table_is_saved_but_not_trained_and_its_residual_starts_at_nothing() -> None:
    table = torch.randn(GENES, 7)
    plain, learning = tabled(table), tabled(table, gene_residual=True)
    assert torch.equal(plain.state_dict()["encoder.genes.table"], table)
    assert "encoder.genes.table" not in dict(plain.named_parameters())
    genes = inputs().genes
    assert torch.equal(plain.encoder.genes(genes), learning.encoder.genes(genes))
    learning(inputs()).cls[:, 0].sum().backward()
    assert learning.encoder.genes.residual.weight.grad.abs().sum() > 0
    with torch.no_grad():
        learning.encoder.genes.residual.weight[3] = 5
    moved = learning.encoder.genes(torch.tensor([3, 4])) - plain.encoder.genes(torch.tensor([3, 4]))
    assert torch.allclose(moved, torch.tensor([[5.0], [0.0]]).expand(2, 32), atol=1e-5)


def test_a_gene_table_gives_the_same_whether_few_genes_are_projected_or_all() -> None:
    made = tabled(torch.randn(GENES, 7), gene_residual=True)
    few, many = torch.tensor([[4, 2]]), torch.tensor([[4, 2] * GENES])
    assert torch.allclose(made.encoder.genes(few)[0], made.encoder.genes(many)[0, :2], atol=1e-6)


def test_a_missing_table_one_of_other_genes_and_unknown_columns_are_refused() -> None:
    with pytest.raises(BadInput, match="gene_encoder=table needs a table"):
        tabled(None)
    with pytest.raises(BadInput, match="the table has 3 genes, the vocabulary 40"):
        tabled(torch.zeros(3, 7))
    with pytest.raises(BadInput, match=r"labels of the model are \['sex'\], but categories are given for \[\]"):
        CellTransformer(Architecture(size="nano", labels=("sex",)), GENES, 2)


def test_the_weights_of_a_model_are_saved_once_and_loaded_exactly(tmp_path: Path) -> None:
    for outputs in (0, 2):
        made, batch = model(outputs=outputs), inputs()
        weights = made.state_dict()
        assert len({tensor.data_ptr() for tensor in weights.values()}) == len(weights)
        torch.save(weights, tmp_path / "weights.pt")
        torch.manual_seed(5)
        other = CellTransformer(made.config, GENES, outputs).eval()
        assert not torch.equal(other(batch).cls, made(batch).cls)
        other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        assert torch.equal(other(batch).cls, made(batch).cls)


def test_a_copied_model_names_genes_with_its_own_embedding() -> None:
    made = model(outputs=0)
    copied = copy.deepcopy(made)
    with torch.no_grad():
        made.encoder.genes.weight.zero_()
    states = torch.ones(1, 32)
    assert made.decoder.identity(states).abs().sum() == 0
    assert copied.decoder.identity(states).abs().sum() > 0


@pytest.mark.parametrize(
    ("size", "blocks", "total", "with_table"),
    [("tiny", 0.75, 3.35, 0.95), ("small", 4.5, 9.8, 5.0), ("base", 37.4, 48.1, 38.6), ("large", 299, 321, 302)],
)
def test_the_sizes_have_the_weights_they_are_known_by(
    size: str, blocks: float, total: float, with_table: float
) -> None:
    """In millions, 20,000 genes; a table 1,280 wide.

    The published figures are of a trunk and an embedding with a gene head of one layer or two. So the totals are within
    2 % of ours, and at the smallest sizes with a table, where little else is left, within 8 %.
    """
    config = Architecture(size=size)  # type: ignore[arg-type]
    more, one = config.shape.layers - 1, replace(config, layers=1)
    learned = CellTransformer(one, 20_000, 2, heads={"genes"})
    of_table = CellTransformer(
        replace(one, gene_encoder="table"), 20_000, 2, gene_table=torch.zeros(20_000, 1280), heads={"genes"}
    )
    block = millions(learned.transformer.blocks)
    assert block * (1 + more) == pytest.approx(blocks, rel=0.01)
    assert millions(learned) + block * more == pytest.approx(total, rel=0.02)
    assert millions(of_table) + block * more == pytest.approx(with_table, rel=0.08)


def millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters() if p.requires_grad) / 1e6


def test_the_gate_and_its_gradients_are_those_of_the_plain_formula() -> None:
    gate, up = torch.randn(2, 3, 7, dtype=torch.float64).unbind(0)
    gate, up = gate.requires_grad_(), up.requires_grad_()
    assert torch.equal(SwiGLU.apply(gate, up), F.silu(gate) * up)
    assert torch.autograd.gradcheck(SwiGLU.apply, (gate, up))


def test_blocks_begin_by_adding_little() -> None:
    """The residual stream does not grow with depth, whatever the number of blocks."""
    torch.manual_seed(0)
    for layers in (1, 16):
        made = CellTransformer(Architecture(size="nano", layers=layers), GENES, 1)
        tokens = made.encoder(inputs())
        with torch.no_grad():
            for block in made.transformer.blocks:
                tokens = block(tokens, None)
        assert tokens.square().mean().sqrt() < 2


@pytest.mark.alone
def test_a_training_step_of_nano_takes_less_than_50_ms() -> None:
    made = CellTransformer(Architecture(size="nano"), 200, 1).train()
    optimizer = torch.optim.AdamW(made.parameters())
    taken = []
    for _ in range(5):
        start = time.process_time()
        made.decoder.expression(made(inputs()).genes).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.process_time() - start)
    assert min(taken) < 0.05


def test_mixed_precision_is_close_to_float32() -> None:
    made, batch = model(), inputs()
    with torch.autocast("cpu", torch.bfloat16):
        lower = made(batch).cls
    assert torch.allclose(lower.float(), made(batch).cls, atol=0.1)


def test_every_expression_encoder_is_there() -> None:
    assert set(transformer._VALUES) == set(ENCODERS)
