"""What a model would say: the label words' share and the likeliest tokens."""

from pathlib import Path

import pytest
import torch
from tiny_folder import save_tiny

from compread.extract import preview, preview_answers
from compread.model import ModelRequest, load_model


def test_shares_are_those_of_the_softmax(tmp_path: Path) -> None:
    """Both are read off the model's own distribution after the prompt's last token."""
    loaded = load_model(ModelRequest(str(save_tiny(tmp_path / "tiny")), dtype="float32"))
    tokenizer = loaded.tokenizer
    ids = tokenizer("Review: a good film\nSentiment:")["input_ids"]
    labels = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" good", "x")]
    found = preview(loaded, ids, labels)
    with torch.no_grad():
        logits = loaded.model(torch.tensor([ids], device=loaded.model.device)).logits[0, -1].cpu()
        shares = torch.softmax(logits.double(), 0)
    assert found.label_mass == pytest.approx(float(shares[labels].sum()), rel=1e-4)
    order = shares.argsort(descending=True)[:3].tolist()
    spelled = [repr(token) for token in tokenizer.convert_ids_to_tokens(order)]
    assert [token for token, _ in found.likeliest] == spelled
    assert [share for _, share in found.likeliest] == pytest.approx(
        shares[order].tolist(), rel=1e-4
    )
    assert str(found).startswith(f"the label words have {found.label_mass:.1%} of the probability")


def test_log_probabilities_of_answers(tmp_path: Path) -> None:
    """Each answer's tokens are read off the model one behind the other."""
    loaded = load_model(ModelRequest(str(save_tiny(tmp_path / "tiny")), dtype="float32"))
    tokenizer = loaded.tokenizer
    ids = tokenizer("Review: a good film\nSentiment:")["input_ids"]
    texts = (" good", " bad film", " not so bad")
    answers = tuple(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    assert len({len(tokens) for tokens in answers}) == 3
    found = preview_answers(loaded, ids, answers, texts)
    want = []
    for tokens in answers:
        with torch.no_grad():
            whole = torch.tensor([[*ids, *tokens]], device=loaded.model.device)
            said = loaded.model(whole).logits[0].cpu().double().log_softmax(-1)
        places = range(len(ids) - 1, len(ids) - 1 + len(tokens))
        want.append(sum(float(said[at, token]) for at, token in zip(places, tokens, strict=True)))
    assert [text for text, _ in found.log_probs] == list(texts)
    assert [log_p for _, log_p in found.log_probs] == pytest.approx(want, abs=1e-4)
    likeliest = preview(loaded, ids, [3]).likeliest
    assert [token for token, _ in found.likeliest] == [token for token, _ in likeliest]
    assert f"' bad film' {want[1]:.2f}" in str(found) and "label words" not in str(found)
