"""A pretrained transformer that is fine-tuned to teach a recurrent network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from kerasrnn.zoo.batches import batches_of, mixed_batches

from .altered_texts import UNKNOWN

# Forms of words as `kerasrnn.text.Capitals` numbers them; 0 is for what is no word.
_FORMS = 5

# The layers that are new learn so many times faster than the pretrained ones.
_NEW_LAYERS = 10.0

_WARM_UP = 0.1
_DROPOUT = 0.1
_CLIP_NORM = 1.0
_MOST_PIECES = 256


class TeacherNetwork(torch.nn.Module):
    r"""A pretrained encoder with one dense layer: scores for each word, or for the whole text.

    A word is read in pieces, and its scores are those of its first piece; a text's are those of the
    mean of all its pieces (Devlin et al. 2019; Reimers and Gurevych 2019). Encoders that know small
    letters only are told how each word is capitalised, by a vector that is zero at first and is
    added to the embeddings of its pieces.

    Args:
        folder: the encoder, as `transformers.AutoModel` reads it: a folder or a name.
        labels: the number of labels.
        words: whether each word gets a label, or else the text.

    Call arguments:
        pieces: ids `(batch, pieces)`.
        forms: how the word of each piece is capitalised, integers `(batch, pieces)`, 0 for none.
        mask: true where there is a piece, `(batch, pieces)`.
        first: where each word's first piece is, integers `(batch, words)`.

    Returns:
        Scores `(batch, words, labels)`, or `(batch, labels)` for texts.
    """

    def __init__(self, folder: str | Path, labels: int, words: bool) -> None:
        super().__init__()
        self.encoder = transformers.AutoModel.from_pretrained(str(folder))
        self.encoder.train()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        self.words = words
        size = self.encoder.config.hidden_size
        self.capitals = torch.nn.Embedding(_FORMS, size)
        torch.nn.init.zeros_(self.capitals.weight)
        self.dropout = torch.nn.Dropout(_DROPOUT)
        self.scores = torch.nn.Linear(size, labels)

    def forward(
        self, pieces: torch.Tensor, forms: torch.Tensor, mask: torch.Tensor, first: torch.Tensor
    ) -> torch.Tensor:
        embeddings = self.encoder.get_input_embeddings()(pieces) + self.capitals(forms)
        hidden = self.encoder(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
        if self.words:
            vectors = hidden.gather(1, first[:, :, None].expand(-1, -1, hidden.shape[-1]))
        else:
            shown = mask[:, :, None].to(hidden.dtype)
            vectors = (hidden * shown).sum(1) / shown.sum(1)
        return self.scores(self.dropout(vectors))


def check_encoder(folder: str | Path) -> None:
    """Raise a ValueError if there is no encoder, or one that cannot read texts in this way.

    Args:
        folder: as for `TeacherNetwork`.
    """
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        raise ValueError(
            "--encoder must be a folder or the name of an encoder that transformers can load. "
            f"Received: {str(folder)!r}: {error}"
        ) from error
    needed = ("unk_token_id", "cls_token_id", "sep_token_id", "pad_token_id")
    missing = [name for name in needed if getattr(tokenizer, name) is None]
    if missing:
        raise ValueError(
            "--encoder must be one that reads a text between two tokens of its own, such as BERT. "
            f"That of {str(folder)!r} has no {', '.join(missing)}."
        )


def fine_tune(
    folder: str | Path,
    texts: Sequence[Sequence[str]],
    targets: Sequence[Any],
    labels: int,
    forms: Any,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    word_dropout: float,
    seed: int,
    report: Any,
) -> TeacherNetwork:
    """Fine-tune an encoder.

    Args:
        folder: the encoder.
        texts: each a list of words.
        targets: for each text the number of its label, or of each word's.
        labels: how many labels there are.
        forms: a function from a word to how it is capitalised, an id below 5.
        epochs: passes over the texts.
        learning_rate: AdamW's largest step for the pretrained layers: it rises for a tenth of the
            steps, then falls to zero.
        batch_size: texts in a batch.
        word_dropout: the share of words taken for unknown.
        seed: decides new weights, dropout and the order.
        report: called after each epoch with its number and the mean loss of its batches.

    Returns:
        The network.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    words = not isinstance(targets[0], int | np.integer)
    network = TeacherNetwork(folder, labels, words).to(_device())
    new = [*network.capitals.parameters(), *network.scores.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(network.encoder.parameters()), "lr": learning_rate},
            {"params": new, "lr": _NEW_LAYERS * learning_rate},
        ],
        weight_decay=0.01,
    )
    steps = epochs * -(-len(texts) // batch_size)
    warm = max(1.0, _WARM_UP * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1.0, steps - warm))
    )
    lengths = np.array([len(text) for text in texts])
    for epoch in range(epochs):
        network.train()
        losses = []
        for indices in mixed_batches(lengths, batch_size, generator):
            dropped = [
                [word if generator.random() >= word_dropout else UNKNOWN for word in texts[i]]
                for i in indices
            ]
            inputs = _inputs(network, dropped, forms)
            with _autocast():
                scores = network(*inputs).float()
            if words:
                right = torch.full(scores.shape[:2], -100)  # ignored by the loss
                for row, i in enumerate(indices):
                    right[row, : len(targets[i])] = torch.tensor(list(targets[i]))
            else:
                right = torch.tensor([targets[i] for i in indices])
            loss = torch.nn.functional.cross_entropy(
                scores.flatten(0, -2), right.flatten().to(scores.device)
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        report(epoch + 1, float(np.mean(losses)))
    return network


def probabilities(
    networks: Sequence[TeacherNetwork],
    texts: Sequence[Sequence[str]],
    forms: Any,
    batch_size: int = 256,
) -> list[np.ndarray]:
    """The mean of the probabilities that several networks give.

    Args:
        networks: at least one, all for the same labels.
        texts: each a list of words.
        forms: as for `fine_tune`.
        batch_size: texts in a batch.

    Returns:
        For each text float32 `(words, labels)`, or `(labels,)`.
    """
    found: list[Any] = [None] * len(texts)
    for network in networks:
        network.eval()
    with torch.no_grad(), _autocast():
        for indices in batches_of(np.array([len(text) for text in texts]), batch_size):
            inputs = _inputs(networks[0], [texts[i] for i in indices], forms)
            every = [network(*inputs).float().softmax(-1) for network in networks]
            mean = torch.stack(every).mean(0).cpu().numpy()
            for row, i in enumerate(indices):
                found[i] = mean[row, : len(texts[i])] if networks[0].words else mean[row]
    return found


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _autocast() -> Any:
    return torch.autocast(_device(), torch.bfloat16, enabled=_device() == "cuda")


def _inputs(
    network: TeacherNetwork, texts: Sequence[Sequence[str]], forms: Any
) -> tuple[torch.Tensor, ...]:
    """What the network takes, on its device."""
    tokenizer = network.tokenizer
    known = sorted({word for text in texts for word in text if word != UNKNOWN})
    pieces: dict[str, list[int]] = {UNKNOWN: [tokenizer.unk_token_id]}
    if known:
        ids = tokenizer(known, add_special_tokens=False)["input_ids"]
        pieces |= {w: row or [tokenizer.unk_token_id] for w, row in zip(known, ids, strict=True)}
    rows = []
    for text in texts:
        row, shapes, first = [tokenizer.cls_token_id], [0], []
        for word in text:
            # The words behind the end of what the encoder reads get the scores of its last piece.
            first.append(min(len(row), _MOST_PIECES - 2))
            row += pieces[word]
            shapes += [forms(word) if word != UNKNOWN else 0] * len(pieces[word])
        end = _MOST_PIECES - 1
        rows.append(([*row[:end], tokenizer.sep_token_id], [*shapes[:end], 0], first))
    longest = max(len(row) for row, _, _ in rows)
    most = max(1, max(len(first) for _, _, first in rows))
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    shapes = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    firsts = torch.zeros((len(rows), most), dtype=torch.long)
    for i, (row, shape, first) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        shapes[i, : len(row)] = torch.tensor(shape)
        mask[i, : len(row)] = 1
        firsts[i, : len(first)] = torch.tensor(first, dtype=torch.long)
    return tuple(x.to(_device()) for x in (ids, shapes, mask, firsts))
