"""The figures of answers beside the right ones: of tags, of labels, and of written texts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nervaluate import Evaluator

from kerasrnn.text import spans

Tags = Sequence[str]


def tagging_scores(
    gold: Sequence[Tags], predicted: Sequence[Tags], *, entities: bool = True
) -> dict[str, Any]:
    """Compare predicted tags with gold ones.

    An entity counts as found when its first token, its last token and its label are all right:
    the measure of the CoNLL shared tasks, computed by `nervaluate` in its strict mode.

    Args:
        gold: the right tags of each sentence.
        predicted: as many tags for each sentence.
        entities: whether tags are `O` and `B-`, `I-`, `E-`, `S-` with a label. Otherwise each token
            counts by itself, and precision, recall and F1 over all tokens equal accuracy.

    Returns:
        `precision`, `recall`, `f1` over all labels, `accuracy` of single tags, all from 0 to 1, and
        `types`: for each label its `precision`, `recall`, `f1` and `support`, its number in `gold`.

    Raises:
        ValueError: if the sentences differ in number or in length.

    Example:

    >>> from kerasrnn.zoo.scores import tagging_scores
    >>> scores = tagging_scores([["B-LOC", "O", "B-PER"]], [["B-LOC", "O", "O"]])
    >>> scores["precision"], scores["recall"]
    (1.0, 0.5)
    """
    if len(gold) != len(predicted):
        raise ValueError(
            "`gold` and `predicted` must have as many sentences. "
            f"Received: {len(gold)} and {len(predicted)}."
        )
    for index, (right, answer) in enumerate(zip(gold, predicted, strict=True)):
        if len(right) != len(answer):
            raise ValueError(
                f"Sentence {index} has {len(right)} tags in `gold` and {len(answer)} in "
                "`predicted`."
            )
    pairs = Counter(
        pair
        for right, answer in zip(gold, predicted, strict=True)
        for pair in zip(right, answer, strict=True)
    )
    total = sum(pairs.values())
    accuracy = _ratio(sum(n for (right, answer), n in pairs.items() if right == answer), total)
    if not entities:
        return {
            "precision": accuracy,
            "recall": accuracy,
            "f1": accuracy,
            "accuracy": accuracy,
            "types": label_scores(pairs),
        }
    scores = _entity_scores(gold, predicted)
    types = scores.pop("types")
    return {**scores, "accuracy": accuracy, "types": types}


def _entity_scores(gold: Sequence[Tags], predicted: Sequence[Tags]) -> dict[str, Any]:
    right, answers = _as_dicts(gold), _as_dicts(predicted)
    support = Counter(entity["label"] for sentence in right for entity in sentence)
    labels = support | Counter(entity["label"] for sentence in answers for entity in sentence)
    if not labels:
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "types": {}}
    evaluator = Evaluator(right, answers, tags=sorted(labels), loader="dict")
    evaluator.strategies = {"strict": evaluator.strategies["strict"]}
    results = evaluator.evaluate()
    types = {
        label: {**_figures(results["entities"][label]["strict"]), "support": support[label]}
        for label in sorted(labels)
    }
    return {**_figures(results["overall"]["strict"]), "types": types}


def _as_dicts(sentences: Sequence[Tags]) -> list[list[dict[str, Any]]]:
    return [
        [
            {"label": label, "start": first, "end": last - 1}  # nervaluate's ends are inclusive
            for label, first, last in spans(tags)
        ]
        for tags in sentences
    ]


def _figures(result: Any) -> dict[str, float]:
    return {
        "precision": float(result.precision),
        "recall": float(result.recall),
        "f1": float(result.f1),
    }


def label_scores(pairs: Counter[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of each label by itself.

    Args:
        pairs: how often each pair of the right label and the answer occurs.

    Returns:
        For each label that occurs in either place `precision`, `recall`, `f1`, from 0 to 1, and
        `support`, how often it is right.

    Example:

    >>> from collections import Counter
    >>> from kerasrnn.zoo.scores import label_scores
    >>> label_scores(Counter([("yes", "yes"), ("no", "yes")]))["yes"]["precision"]
    0.5
    """
    support: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for (right, answer), count in pairs.items():
        support[right] += count
        answered[answer] += count
    types = {}
    for tag in sorted(set(support) | set(answered)):
        hits = pairs[tag, tag]
        precision, recall = _ratio(hits, answered[tag]), _ratio(hits, support[tag])
        types[tag] = {
            "precision": precision,
            "recall": recall,
            "f1": _ratio(2 * precision * recall, precision + recall),
            "support": support[tag],
        }
    return types


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def pair_scores(references: Sequence[str], answers: Sequence[str]) -> dict[str, float]:
    """Exact match and BLEU.

    BLEU (Papineni et al. 2002) is that of sacrebleu (Post 2018) over the whole corpus, with one
    reference for each text, cased, in words as WMT counts them (13a), or in characters where no
    reference has a space, as in dates, Chinese or Japanese. N-grams are counted up to 4, or up to
    the length of the longest reference if that is less.

    Args:
        references: the texts expected.
        answers: the texts written, one for each.

    Returns:
        `exact_match`, the share of answers that are their reference, 0 to 1; and `bleu`, 0 to 100.
        Without the package sacrebleu, `bleu` is missing, and a warning says how to install it.

    Raises:
        ValueError: there are not as many answers as references, or none.

    Example:

    >>> from kerasrnn.zoo.scores import pair_scores
    >>> pair_scores(["2020-03-04", "2020-03-05"], ["2020-03-04", "2020-04-05"])["exact_match"]
    0.5
    """
    if len(references) != len(answers) or not references:
        raise ValueError(
            "`answers` must have one text for each of the `references`, of which there must be at "
            f"least one. Received {len(answers)} answers for {len(references)} references."
        )
    right = sum(a == b for a, b in zip(references, answers, strict=True))
    scores = {"exact_match": right / len(references)}
    try:
        import sacrebleu
    except ImportError:
        warnings.warn(
            "`bleu` is left out: it needs the package sacrebleu. Install it with "
            "pip install 'kerasrnn[training]', or pip install -e '.[training]' in a checkout.",
            stacklevel=2,
        )
        return scores
    in_words = any(" " in reference for reference in references)
    longest = max(len(text.split() if in_words else text) for text in references)
    metric = sacrebleu.BLEU(
        tokenize="13a" if in_words else "char",
        max_ngram_order=max(1, min(4, longest)),
        force=True,  # whether texts look tokenised is none of its business
    )
    return {**scores, "bleu": metric.corpus_score(list(answers), [list(references)]).score}
